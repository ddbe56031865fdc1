// The device of the CUDA kernels' tests and timings. In a build without CUDA that is the emulated
// one, whose kernels' own sources run on the CPU, a fiber for every CUDA thread
// (support/emulated_device/emulated_device.h, support/cuda_emulation.h); with CUDA it is the first
// GPU, there or not.
#pragma once

#include <c10/core/Device.h>

#ifdef ELASTIKV_CUDA_EMULATION
#include "support/emulated_device/emulated_device.h"
#endif

namespace elastikv {

#ifdef ELASTIKV_CUDA_EMULATION
inline const c10::Device kDevice = [] {
  emulated::install();
  return emulated::device();
}();
constexpr bool kEmulated = true;
#else
inline const c10::Device kDevice(c10::DeviceType::CUDA, 0);
constexpr bool kEmulated = false;
#endif

}  // namespace elastikv
