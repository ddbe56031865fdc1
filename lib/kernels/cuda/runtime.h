#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "kernels/cuda/launch.h"
#include "kernels/entry_view.h"

namespace elastikv::cuda {

/// The stream that ATen's own kernels use on this device.
Stream current_stream(c10::Device device);

/// Whether the kernels have code for this dtype.
bool has_kernels(c10::ScalarType dtype);
/// InternalError for a dtype without kernels.
Element element_of(c10::ScalarType dtype);

/// Bytes that a thread reads at once.
constexpr int64_t kPiece = 16;

/// Whether `x` begins where a piece may.
bool is_aligned(const at::Tensor& x);
/// Whether threads can read these entries by pieces: of this dtype, each of whole pieces, in one
/// block of memory.
bool is_readable(const EntryView& entries, c10::ScalarType dtype);
EntryPointers pointers_of(const EntryView& entries);

}  // namespace elastikv::cuda
