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

void launch_failed(const char* kernel, const char* message) {
  throw InternalError(fmt::format("the kernel for {} could not be started: {}", kernel, message));
}

}  // namespace elastikv::cuda
