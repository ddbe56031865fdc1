#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "models/registry.h"
#include "runtime/cost.h"

namespace elastikv {

/// What the weights of a checkpoint take on a device as it is now, and how they would be held
/// there.
struct WeightsNeed {
  MemoryNeed memory;
  LinearMemory linear_memory = LinearMemory::kFast;
};
WeightsNeed weights_need(const std::filesystem::path& folder, c10::Device device,
                         c10::ScalarType dtype, int64_t available);

/// Error unless the weights fit into what the device has left; load_model otherwise, with what is
/// loaded so far on a terminal's last line.
std::unique_ptr<Model> open_model(const std::filesystem::path& folder, c10::Device device,
                                  c10::ScalarType dtype);

/// Puts something between every model that open_model gives and whoever uses it: how tests see what
/// becomes of a model, or a device, that fails. Null takes it away.
using ModelInterceptor = std::function<std::unique_ptr<Model>(std::unique_ptr<Model>)>;
void intercept_models(ModelInterceptor interceptor);

}  // namespace elastikv
