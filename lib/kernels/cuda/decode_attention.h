#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/attention.h"

namespace elastikv::cuda {

/// Whether decode_attention has code for this batch: fp32, fp16 or bf16, entries of whole 16-byte
/// pieces (of two halves of such, where keys are turned while they are read) that lie on such
/// bounds, heads of at most 256 dimensions.
bool has_decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows);

/// elastikv::decode_attention on a GPU, without padding and without waiting for the device: slots
/// are split among blocks, the rows' descriptions go over in one copy, and the query heads of a KV
/// head share its reads. Sums are fp32, in an order that depends on the row alone. Weights stay on
/// the device.
DecodeAttention decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                 double scale);

}  // namespace elastikv::cuda
