#include "kernels/cuda/runtime.h"

#include <ATen/ops/empty.h>
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

int64_t Upload::add(const void* data, size_t bytes) {
  constexpr int64_t kAlign = 16;
  const int64_t offset = size_;
  parts_.push_back({data, bytes, offset});
  size_ += (static_cast<int64_t>(bytes) + kAlign - 1) / kAlign * kAlign;
  return offset;
}

at::Tensor Upload::send(c10::Device device) const {
  // ATen's pinned allocator hands a block out again only when the copy has passed.
  const at::Tensor host = at::empty({size_}, at::TensorOptions(at::kByte).pinned_memory(true));
  auto* bytes = host.data_ptr<uint8_t>();
  for (const Part& part : parts_) {
    if (part.bytes > 0) std::memcpy(bytes + part.offset, part.data, part.bytes);
  }
  return host.to(device, /*non_blocking=*/true);
}

void launch_failed(const char* kernel, const char* message) {
  throw InternalError(fmt::format("the kernel for {} could not be started: {}", kernel, message));
}

}  // namespace elastikv::cuda
