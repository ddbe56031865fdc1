#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>

#include "kernels/attention.h"

namespace elastikv::reference {

PrefillAttention prefill_attention(const at::Tensor& queries, const at::Tensor& keys,
                                   const at::Tensor& values, double scale, bool column_sums) {
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
  if (column_sums) result.column_sums = weights.sum(1);
  return result;
}

}  // namespace elastikv::reference
