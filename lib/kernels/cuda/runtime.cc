#include "kernels/cuda/runtime.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include "base/error.h"

namespace elastikv::cuda {

Stream current_stream(c10::Device device) {
  ELASTIKV_ASSERT(!device.is_cpu(), "no stream on {}", device.str());
  const c10::impl::VirtualGuardImpl guard(device.type());
  return static_cast<Stream>(guard.getStreamNativeHandle(guard.getStream(device)));
}

bool has_kernels(c10::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16;
}

Element element_of(c10::ScalarType dtype) {
  ELASTIKV_ASSERT(has_kernels(dtype), "dtype {}", c10::toString(dtype));
  if (dtype == at::kFloat) return Element::kFloat;
  return dtype == at::kHalf ? Element::kHalf : Element::kBFloat16;
}

bool is_aligned(const at::Tensor& x) {
  return reinterpret_cast<uintptr_t>(x.const_data_ptr()) % kPiece == 0;
}

bool is_readable(const EntryView& entries, c10::ScalarType dtype) {
  const auto can_read = [&](const at::Tensor& x) {
    if (!x.defined()) return true;  // all slots lie elsewhere
    return x.scalar_type() == dtype && x.is_contiguous() && is_aligned(x) &&
           x.size(1) * static_cast<int64_t>(x.element_size()) % kPiece == 0;
  };
  return can_read(entries.keys) && can_read(entries.values) && can_read(entries.prompt_keys) &&
         can_read(entries.prompt_values);
}

EntryPointers pointers_of(const EntryView& entries) {
  const auto address = [](const at::Tensor& x) {
    return x.defined() ? x.const_data_ptr() : nullptr;
  };
  return {address(entries.keys), address(entries.values), address(entries.prompt_keys),
          address(entries.prompt_values)};
}

void launch_failed(const char* kernel, const char* message) {
  throw InternalError(fmt::format("the kernel for {} could not be started: {}", kernel, message));
}

}  // namespace elastikv::cuda
