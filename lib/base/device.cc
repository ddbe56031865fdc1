#include "base/device.h"

#include <string>

#include <ATen/Context.h>
#ifdef ELASTIKV_WITH_CUDA
#include <ATen/cuda/CUDAContextLight.h>
#endif
#include <fmt/format.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/nearest_name.h"

namespace elastikv {
namespace {

/// Whether a backend that LibTorch does not bring is registered with it under this name.
bool is_registered(std::string_view name) {
  return c10::is_privateuse1_backend_registered() && name == c10::get_privateuse1_backend();
}

/// What stands in the way of a device; empty for one that is there.
std::string problem_of(c10::Device device) {
  if (device.is_cpu() || device.is_privateuseone()) return "";
#ifdef ELASTIKV_WITH_CUDA
  const int64_t count = at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  if (count == 0) return "no CUDA GPU is present on this machine; use --device cpu";
  if (device.index() >= count) return fmt::format("this machine has {} GPU(s)", count);
  // What the kernels are compiled for.
  constexpr int kOldest = 8;
  const cudaDeviceProp& gpu = *at::cuda::getDeviceProperties(device.index());
  if (gpu.major < kOldest) {
    return fmt::format(
        "it is a {} of compute capability {}.{}, where the kernels need {}.0 or newer", gpu.name,
        gpu.major, gpu.minor, kOldest);
  }
  return "";
#else
  return "this program was built for the CPU; build it with: cmake --preset cuda";
#endif
}

}  // namespace

c10::Device parse_device(std::string_view name) {
  if (name == "cpu") return {c10::DeviceType::CPU};
  if (name == "cuda") return {c10::DeviceType::CUDA, 0};
  int64_t index = 0;
  if (name.starts_with("cuda:") && parse_int(name.substr(5), index) && index >= 0 && index < 128) {
    return {c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index)};
  }
  if (is_registered(name)) return {c10::DeviceType::PrivateUse1, 0};
  fail("device '{}' is not known; use cpu, cuda or cuda:N", name);
}

void require_available(c10::Device device) {
  const std::string problem = problem_of(device);
  if (!problem.empty()) fail("device '{}' was asked for, but {}", device.str(), problem);
}

bool is_available(c10::Device device) { return problem_of(device).empty(); }

c10::ScalarType parse_dtype(std::string_view name) {
  if (name == "fp32" || name == "float32") return c10::ScalarType::Float;
  if (name == "bf16" || name == "bfloat16") return c10::ScalarType::BFloat16;
  if (name == "fp16" || name == "float16") return c10::ScalarType::Half;
  fail("dtype '{}' is not known{}", name, suggestion(name, {"fp32", "bf16", "fp16"}));
}

std::string dtype_name(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Float:
      return "fp32";
    case c10::ScalarType::BFloat16:
      return "bf16";
    case c10::ScalarType::Half:
      return "fp16";
    default:
      return c10::toString(dtype);
  }
}

}  // namespace elastikv
