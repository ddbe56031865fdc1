#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "kernels/cuda/launch.h"

namespace elastikv::cuda {

/// The stream that ATen's own kernels use on this device.
Stream current_stream(c10::Device device);

/// Whether the kernels have code for this dtype.
bool has_kernels(c10::ScalarType dtype);
/// InternalError for a dtype without kernels.
Element element_of(c10::ScalarType dtype);
}  // namespace elastikv::cuda
