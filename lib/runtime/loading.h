#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "models/registry.h"
#include "runtime/cost.h"

namespace elastikv {

/// The dtype in which a checkpoint's matrices are held on a device: that of the computation, but
/// bf16 where its files have them so and a CPU computes in fp32, which is the same at half the
/// memory.
c10::ScalarType held_dtype(const std::filesystem::path& folder, c10::Device device,
                           c10::ScalarType dtype);

/// Error unless the weights fit into what the device has left; load_model otherwise, with what is
/// loaded so far on a terminal's last line.
std::unique_ptr<Model> open_model(const std::filesystem::path& folder, c10::Device device,
                                  c10::ScalarType dtype);

/// Puts something between every model that open_model gives and whoever uses it: how tests see what
/// becomes of a model, or a device, that fails. Null takes it away.
using ModelInterceptor = std::function<std::unique_ptr<Model>(std::unique_ptr<Model>)>;
void intercept_models(ModelInterceptor interceptor);

}  // namespace elastikv
