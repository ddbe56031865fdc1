#include "kernels/attention.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "base/stopwatch.h"

namespace elastikv {
namespace {

/// Rows of queries per block of the second pass. 128 keeps a block of scores of one KV head in the
/// second-level cache for prompts of a few thousand tokens.
constexpr int64_t kQueryBlock = 128;

/// Column sums from each row's log-sum-exp: sum over queries of exp(scale q k^T - lse), one block
/// of queries at a time. `lse`: f32 [query_heads, tokens], or undefined to take it from the block
/// itself (the whole row is there).
at::Tensor blocked_column_sums(const at::Tensor& queries, const at::Tensor& keys, double scale,
                               const at::Tensor& lse) {
  const int64_t query_heads = queries.size(0);
  const int64_t tokens = queries.size(1);
  const int64_t kv_heads = keys.size(0);
  const int64_t group = query_heads / kv_heads;
  at::Tensor sums = at::zeros({query_heads, tokens}, queries.options().dtype(at::kFloat));
  const at::Tensor q = queries.to(at::kFloat).view({kv_heads, group, tokens, queries.size(2)});
  const at::Tensor k = keys.to(at::kFloat);
  for (int64_t begin = 0; begin < tokens; begin += kQueryBlock) {
    const int64_t end = std::min(begin + kQueryBlock, tokens);
    // Keys after the block's last query are masked for all of its rows, so they are left out of the
    // product.
    at::Tensor scores =
        at::matmul(
            q.slice(2, begin, end).reshape({kv_heads, group * (end - begin), queries.size(2)}),
            k.slice(1, 0, end).transpose(1, 2))
            .mul_(scale)
            .view({query_heads, end - begin, end});
    const at::Tensor query_index =
        at::arange(begin, end, queries.options().dtype(at::kLong)).unsqueeze(1);
    const at::Tensor key_index = at::arange(end, queries.options().dtype(at::kLong));
    scores.masked_fill_(key_index > query_index, -std::numeric_limits<float>::infinity());
    const at::Tensor row_lse =
        lse.defined() ? lse.slice(1, begin, end) : at::logsumexp(scores, {-1});
    sums.slice(1, 0, end).add_(scores.sub_(row_lse.unsqueeze(-1)).exp_().sum(1));
  }
  return sums;
}

at::Tensor expand_heads(const at::Tensor& x, int64_t group) {
  return group == 1 ? x : x.repeat_interleave(group, 0);
}

}  // namespace

PrefillAttention prefill_attention(const at::Tensor& queries, const at::Tensor& keys,
                                   const at::Tensor& values, double scale, bool column_sums) {
  ELASTIKV_ASSERT(queries.size(0) % keys.size(0) == 0, "{} query heads over {} KV heads",
                  queries.size(0), keys.size(0));
  const int64_t group = queries.size(0) / keys.size(0);
  const at::Tensor q = queries.unsqueeze(0);
  const at::Tensor k = expand_heads(keys, group).unsqueeze(0);
  const at::Tensor v = expand_heads(values, group).unsqueeze(0);
  PrefillAttention result;
  at::Tensor lse;
  if (queries.is_cpu()) {
    auto [output, log_sum_exp] = at::_scaled_dot_product_flash_attention_for_cpu(
        q, k, v, /*dropout_p=*/0.0, /*is_causal=*/true, /*attn_mask=*/std::nullopt, scale);
    result.output = output.squeeze(0);
    lse = log_sum_exp.squeeze(0);
  } else {
    result.output = at::scaled_dot_product_attention(q, k, v, /*attn_mask=*/{}, /*dropout_p=*/0.0,
                                                     /*is_causal=*/true, scale)
                        .squeeze(0);
  }
  if (column_sums) {
    Stopwatch watch;
    result.column_sums = blocked_column_sums(queries, keys, scale, lse);
    result.statistics_seconds = watch.lap();
  }
  return result;
}

at::Tensor full_attention(const at::Tensor& queries, const at::Tensor& keys,
                          const at::Tensor& values, double scale) {
  return at::scaled_dot_product_attention(
             queries.unsqueeze(0), keys.unsqueeze(0), values.unsqueeze(0),
             /*attn_mask=*/{}, /*dropout_p=*/0.0, /*is_causal=*/false, scale)
      .squeeze(0);
}

DecodeAttention decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                 double scale) {
  const at::ScalarType dtype = queries.scalar_type();
  if (queries.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16)) {
    return cpu::decode_attention(queries, rows, scale);
  }
  return reference::decode_attention(queries, rows, scale);
}

}  // namespace elastikv
