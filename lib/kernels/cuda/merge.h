#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/merge.h"

namespace elastikv::cuda {

/// elastikv::gather_and_merge on a GPU for fp32, fp16 and bf16, to the CPU's last bit: one block
/// per kept slot and head walks over that slot's sources. Index tensors on the CPU go over in one
/// copy and are sorted by anchor first where they are not; on the device `anchor` must ascend.
at::Tensor gather_and_merge(const at::Tensor& x, const MergeRows& rows);

}  // namespace elastikv::cuda
