#pragma once

#include <tuple>

#include <ATen/core/Tensor.h>

#include "kernels/prefill_statistics.h"

namespace elastikv::cuda {

/// Whether attention_and_lse takes these queries: fp16 and bf16 of whole 16-byte rows and at most
/// 256 dimensions, fp32 of whole 16-byte rows.
bool has_prefill_attention(const at::Tensor& queries);

/// Causal attention of grouped queries by ATen's fused kernels: flash attention for fp16 and bf16,
/// memory-efficient attention for fp32. Returns the output [query_heads, tokens, head_dim] and the
/// rows' log-sum-exp, f32 [query_heads, tokens]. Shapes as in elastikv::prefill_attention.
std::tuple<at::Tensor, at::Tensor> attention_and_lse(const at::Tensor& queries,
                                                     const at::Tensor& keys,
                                                     const at::Tensor& values, double scale);

/// Whether nothing of the attention matrix is asked for but sums and maxima of its columns.
bool only_columns(const PrefillRequest& request);

/// Those of the request, from cuda::column_sums.
PrefillStatistics column_statistics(const at::Tensor& queries, const at::Tensor& keys,
                                    const at::Tensor& lse, double scale,
                                    const PrefillRequest& request);

}  // namespace elastikv::cuda
