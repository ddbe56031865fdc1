#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv::cuda {

struct ColumnStatistics {
  at::Tensor sums;    ///< f32 [query_heads, tokens]
  at::Tensor maxima;  ///< f32 [query_heads, tokens], or undefined
};

/// Whether column_sums has code for these queries: fp32, fp16 or bf16.
bool has_column_sums(const at::Tensor& queries);

/// sums[h, n] = sum over queries m >= n of A[h, m, n], A = exp(scale q_m k_n - lse_m), and on
/// demand the largest of these. queries: [query_heads, tokens, head_dim]; keys: [kv_heads, tokens,
/// head_dim]; lse: f32 [query_heads, tokens], the rows' log-sum-exp. fp16 and bf16 products run on
/// tensor cores, fp32 as plain multiply-adds; all sums are fp32, in an order that depends on the
/// shape alone. Holds O(query_heads x tokens) beside its arguments.
ColumnStatistics column_sums(const at::Tensor& queries, const at::Tensor& keys,
                             const at::Tensor& lse, double scale, bool maxima);

}  // namespace elastikv::cuda
