#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "kernels/accelerator.h"
#include "kernels/cpu/column_sums.h"

namespace elastikv {
namespace {

/// Rows of queries per block of the second pass. 128 keeps a block of scores of one KV head in the
/// second-level cache for prompts of a few thousand tokens.
constexpr int64_t kQueryBlock = 128;

/// Logits of masked keys. Finite, so that their 0 * log 0 in the entropy is 0; far enough from any
/// logit that their attention is exactly 0.
constexpr double kMasked = -1e30;

/// f32 [decays, tokens]: the weight of each query in the moving averages, (1 - a) a^(tokens-1-m).
at::Tensor moving_average_weights(const std::set<double>& decays, int64_t tokens) {
  at::Tensor weights =
      at::empty({static_cast<int64_t>(decays.size()), tokens}, at::TensorOptions(at::kFloat));
  auto* weight = weights.data_ptr<float>();
  for (const double decay : decays) {
    for (int64_t m = 0; m < tokens; ++m) {
      *weight++ =
          static_cast<float>((1 - decay) * std::pow(decay, static_cast<double>(tokens - 1 - m)));
    }
  }
  return weights;
}

/// What is asked for from each row's log-sum-exp: A = exp(scale q k^T - lse), one block of queries
/// at a time. `lse`: f32 [query_heads, tokens], or undefined to take it from the block itself (the
/// whole row is there).
PrefillStatistics blocked_statistics(const at::Tensor& queries, const at::Tensor& keys,
                                     double scale, const at::Tensor& lse,
                                     const PrefillRequest& request) {
  const int64_t query_heads = queries.size(0);
  const int64_t tokens = queries.size(1);
  const int64_t kv_heads = keys.size(0);
  const int64_t group = query_heads / kv_heads;
  const auto options = queries.options().dtype(at::kFloat);
  PrefillStatistics result;
  const int64_t last_rows = std::min(request.last_rows, tokens);
  if (request.column_sums) result.column_sums = at::zeros({query_heads, tokens}, options);
  if (request.column_max) result.column_max = at::zeros({query_heads, tokens}, options);
  if (request.row_entropy) result.row_entropy = at::empty({query_heads, tokens}, options);
  if (last_rows > 0) result.last_rows = at::zeros({query_heads, last_rows, tokens}, options);
  at::Tensor averages;  // [query_heads, decays, tokens]
  at::Tensor average_weights;
  if (!request.decays.empty()) {
    averages =
        at::zeros({query_heads, static_cast<int64_t>(request.decays.size()), tokens}, options);
    average_weights = moving_average_weights(request.decays, tokens).to(queries.device());
  }
  const bool all_rows =
      request.column_sums || request.column_max || request.row_entropy || !request.decays.empty();
  const int64_t first_row = all_rows ? 0 : tokens - last_rows;

  const at::Tensor q = queries.to(at::kFloat).view({kv_heads, group, tokens, queries.size(2)});
  const at::Tensor k = keys.to(at::kFloat);
  for (int64_t begin = first_row; begin < tokens; begin += kQueryBlock) {
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
    scores.masked_fill_(key_index > query_index, kMasked);
    const at::Tensor row_lse =
        lse.defined() ? lse.slice(1, begin, end) : at::logsumexp(scores, {-1});
    const at::Tensor log_attention = scores.sub_(row_lse.unsqueeze(-1));
    const at::Tensor attention =
        request.row_entropy ? log_attention.exp() : log_attention.exp_();  // [heads, rows, end]
    if (request.column_sums) result.column_sums.slice(1, 0, end).add_(attention.sum(1));
    if (request.column_max) {
      const at::Tensor highest = result.column_max.slice(1, 0, end);
      highest.copy_(at::maximum(highest, attention.amax(1)));
    }
    if (averages.defined()) {
      averages.slice(2, 0, end).add_(at::matmul(average_weights.slice(1, begin, end), attention));
    }
    const int64_t first_wanted = std::max(begin, tokens - last_rows);
    if (first_wanted < end) {
      result.last_rows.slice(1, first_wanted - (tokens - last_rows), end - (tokens - last_rows))
          .slice(2, 0, end)
          .copy_(attention.slice(1, first_wanted - begin, end - begin));
    }
    // Last, since it overwrites the logarithms.
    if (request.row_entropy) {
      result.row_entropy.slice(1, begin, end).copy_(log_attention.mul_(attention).sum(-1).neg_());
    }
  }
  int64_t index = 0;
  for (const double decay : request.decays)
    result.moving_averages[decay] = averages.select(1, index++).contiguous();
  return result;
}

/// The same on the CPU: what is summed over queries by a kernel of its own, the rest in blocks.
PrefillStatistics cpu_statistics(const at::Tensor& queries, const at::Tensor& keys, double scale,
                                 const at::Tensor& lse, const PrefillRequest& request) {
  const at::ScalarType dtype = queries.scalar_type();
  const bool columns = request.column_sums || request.column_max || !request.decays.empty();
  if (!columns || (dtype != at::kFloat && dtype != at::kBFloat16))
    return blocked_statistics(queries, keys, scale, lse, request);
  PrefillRequest rest;
  rest.row_entropy = request.row_entropy;
  rest.last_rows = request.last_rows;
  PrefillStatistics result;
  if (rest.reads_attention()) result = blocked_statistics(queries, keys, scale, lse, rest);
  const cpu::ColumnStatistics sums = cpu::column_statistics(
      queries.contiguous(), keys.contiguous(), scale, lse, request.column_max,
      request.decays.empty() ? at::Tensor()
                             : moving_average_weights(request.decays, queries.size(1)));
  if (request.column_sums) result.column_sums = sums.sums;
  result.column_max = sums.maxima;
  int64_t index = 0;
  for (const double decay : request.decays) result.moving_averages[decay] = sums.weighted[index++];
  return result;
}

at::Tensor expand_heads(const at::Tensor& x, int64_t group) {
  return group == 1 ? x : x.repeat_interleave(group, 0);
}

}  // namespace

PrefillAttention prefill_attention(const at::Tensor& queries, const at::Tensor& keys,
                                   const at::Tensor& values, double scale,
                                   const PrefillRequest& request) {
  ELASTIKV_ASSERT(queries.size(0) % keys.size(0) == 0, "{} query heads over {} KV heads",
                  queries.size(0), keys.size(0));
  const Accelerator* accelerator = accelerator_of(queries.device());
  if (accelerator != nullptr && accelerator->has_prefill_attention(queries)) {
    PrefillAttention result;
    at::Tensor lse;
    std::tie(result.output, lse) = accelerator->attention_and_lse(queries, keys, values, scale);
    if (request.reads_attention()) {
      DeviceStopwatch watch(queries.device());
      result.statistics = accelerator->only_columns(request)
                              ? accelerator->column_statistics(queries, keys, lse, scale, request)
                              : blocked_statistics(queries, keys, scale, lse, request);
      result.statistics_seconds = watch.lap();
    }
    return result;
  }
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
  if (request.reads_attention()) {
    DeviceStopwatch watch(queries.device());
    result.statistics = queries.is_cpu() ? cpu_statistics(queries, keys, scale, lse, request)
                                         : blocked_statistics(queries, keys, scale, lse, request);
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
