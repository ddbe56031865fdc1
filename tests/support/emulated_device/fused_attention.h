#pragma once

#include <torch/library.h>

namespace elastikv::emulated {

/// The fused attention operators that CUDA has beside the CPU's: one launch each, outputs strided
/// and log-sum-exps padded as CUDA's are.
void register_fused_attention(torch::Library& operators);

}  // namespace elastikv::emulated
