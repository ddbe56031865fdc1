#include <algorithm>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/xlogy.h>
#include <ATen/ops/zeros.h>

#include "kernels/attention.h"

namespace elastikv::reference {

PrefillAttention prefill_attention(const at::Tensor& queries, const at::Tensor& keys,
                                   const at::Tensor& values, double scale,
                                   const PrefillRequest& request) {
  const int64_t tokens = queries.size(1);
  const int64_t group = queries.size(0) / keys.size(0);
  const at::Tensor k = keys.to(at::kFloat).repeat_interleave(group, 0);
  const at::Tensor v = values.to(at::kFloat).repeat_interleave(group, 0);
  const at::Tensor future = at::ones({tokens, tokens}, queries.options().dtype(at::kBool)).triu(1);
  const at::Tensor logits = (at::matmul(queries.to(at::kFloat), k.transpose(1, 2)) * scale)
                                .masked_fill(future, -std::numeric_limits<float>::infinity());
  const at::Tensor weights = at::softmax(logits, -1);
  PrefillAttention result;
  result.output = at::matmul(weights, v).to(queries.scalar_type());
  PrefillStatistics& statistics = result.statistics;
  if (request.column_sums) statistics.column_sums = weights.sum(1);
  if (request.column_max) statistics.column_max = weights.amax(1);
  if (request.row_entropy) statistics.row_entropy = at::xlogy(weights, weights).sum(-1).neg();
  if (request.last_rows > 0) {
    const int64_t rows = std::min(request.last_rows, tokens);
    statistics.last_rows = weights.slice(1, tokens - rows, tokens).contiguous();
  }
  for (const double decay : request.decays) {
    at::Tensor average = at::zeros({queries.size(0), tokens}, weights.options());
    for (int64_t m = 0; m < tokens; ++m)
      average = average * decay + weights.select(1, m) * (1 - decay);
    statistics.moving_averages[decay] = average;
  }
  return result;
}

}  // namespace elastikv::reference
