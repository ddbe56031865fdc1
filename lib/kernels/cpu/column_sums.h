#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv::cpu {

/// What is summed over the queries of each key; A[h, m, n] = exp(scale q_m k_n - lse_m), m >= n.
struct ColumnStatistics {
  at::Tensor sums;      ///< f32 [query_heads, tokens]: sum over m of A
  at::Tensor maxima;    ///< f32 [query_heads, tokens]: largest A, if asked for
  at::Tensor weighted;  ///< f32 [weightings, query_heads, tokens]: sum over m of w[m] A
};

/// One more product of queries and keys after the attention itself, panel by panel of 32 keys, so
/// that nothing larger than the results is held. queries: [query_heads, tokens, head_dim] and keys:
/// [kv_heads, tokens, head_dim], contiguous fp32 or bf16; lse: f32 [query_heads, tokens], each
/// query's log-sum-exp; query_weights: f32 [weightings, tokens] or undefined. fp32 inside; sums are
/// taken in the order of the queries whatever the number of threads.
ColumnStatistics column_statistics(const at::Tensor& queries, const at::Tensor& keys, double scale,
                                   const at::Tensor& lse, bool maxima,
                                   const at::Tensor& query_weights);

}  // namespace elastikv::cpu
