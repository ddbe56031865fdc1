#include "runtime/device_health.h"

#include <string_view>

#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/ones.h>
#include <c10/core/Scalar.h>
#include <c10/util/Exception.h>

#include "base/error.h"
#include "runtime/memory.h"

namespace elastikv {
namespace {

/// The runtime and its libraries report in LibTorch's general error, or in one of their own.
bool speaks_of_accelerator(const std::exception& error) {
  if (dynamic_cast<const c10::AcceleratorError*>(&error) != nullptr) return true;
  const auto* general = dynamic_cast<const c10::Error*>(&error);
  if (general == nullptr) return false;
  const std::string_view text = general->what_without_backtrace();
  for (const char* phrase : {"CUDA error", "CUDA driver error", "CUBLAS_STATUS_", "cuDNN error",
                             "CUDNN_STATUS_", "HIP error", "device-side assert"}) {
    if (text.find(phrase) != std::string_view::npos) return true;
  }
  return false;
}

bool answers(c10::Device device) {
  try {
    const at::Tensor one = at::ones({1}, at::TensorOptions().device(device));
    return at::add(one, one).item().toFloat() == 2.0F;  // waits for all that was queued before
  } catch (const std::exception& error) {
    return is_out_of_memory(error);
  }
}

}  // namespace

bool is_device_lost(const std::exception& error, c10::Device device) {
  if (is_out_of_memory(error)) return false;
  // What a user can mend was found before anything was computed.
  if (dynamic_cast<const Error*>(&error) != nullptr) return false;
  return speaks_of_accelerator(error) || (!device.is_cpu() && !answers(device));
}

}  // namespace elastikv
