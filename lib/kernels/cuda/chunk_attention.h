#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/chunk_attention.h"

namespace elastikv::cuda {

/// Whether chunk_attention has code for this batch: heads of at most 256 dimensions, of whole
/// 16-byte pieces in fp32 (of two halves of such, where keys are turned while they are read), of
/// whole tensor-core tiles in fp16 and bf16 (multiples of 16), and entries that lie on 16-byte
/// bounds.
bool has_chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows);

/// elastikv::chunk_attention on a GPU, without padding and without waiting for the device: the
/// rows' descriptions go over in one copy, and as many kernels start for one row as for many. Sums
/// are fp32, in an order that depends on the row alone. fp16 and bf16 are multiplied by tensor
/// cores; keys and queries that are turned are rounded to the dtype then, as a cache's rotated
/// ones are.
at::Tensor chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows,
                           double scale);

}  // namespace elastikv::cuda
