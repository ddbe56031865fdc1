#include "kernels/cuda/prefill_attention.h"

#include <optional>

#include <ATen/ops/_scaled_dot_product_efficient_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>

#include "base/error.h"
#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/runtime.h"

namespace elastikv::cuda {

bool has_prefill_attention(const at::Tensor& queries) {
  const c10::ScalarType dtype = queries.scalar_type();
  const int64_t head_dim = queries.size(2);
  if (dtype == at::kFloat) return head_dim % 4 == 0;
  return has_kernels(dtype) && head_dim % 8 == 0 && head_dim <= 256;
}

std::tuple<at::Tensor, at::Tensor> attention_and_lse(const at::Tensor& queries,
                                                     const at::Tensor& keys,
                                                     const at::Tensor& values, double scale) {
  ELASTIKV_ASSERT(has_prefill_attention(queries), "{} queries of head_dim {}",
                  c10::toString(queries.scalar_type()), queries.size(2));
  const at::Tensor q = queries.unsqueeze(0);
  const int64_t group = queries.size(0) / keys.size(0);
  const auto expanded = [group](const at::Tensor& x) {
    return (group == 1 ? x : x.repeat_interleave(group, 0)).unsqueeze(0);
  };
  at::Tensor output;
  at::Tensor lse;
  if (queries.scalar_type() == at::kFloat) {
    auto result = at::_scaled_dot_product_efficient_attention(
        q, expanded(keys), expanded(values), /*attn_bias=*/std::nullopt,
        /*compute_log_sumexp=*/true, /*dropout_p=*/0.0, /*is_causal=*/true, scale);
    output = std::get<0>(result);
    lse = std::get<1>(result);
  } else {
    auto result = at::_scaled_dot_product_flash_attention(q, expanded(keys), expanded(values),
                                                          /*dropout_p=*/0.0, /*is_causal=*/true,
                                                          /*return_debug_mask=*/false, scale);
    output = std::get<0>(result);
    lse = std::get<1>(result);
  }
  // The rows' number is rounded up where the kernel wants it.
  return {output.squeeze(0), lse.squeeze(0).narrow(1, 0, queries.size(1)).contiguous()};
}

bool only_columns(const PrefillRequest& request) {
  PrefillRequest others = request;
  others.column_sums = false;
  others.column_max = false;
  return !others.reads_attention() && request.reads_attention();
}

PrefillStatistics column_statistics(const at::Tensor& queries, const at::Tensor& keys,
                                    const at::Tensor& lse, double scale,
                                    const PrefillRequest& request) {
  ELASTIKV_ASSERT(only_columns(request), "more than columns is asked for");
  const ColumnStatistics columns = column_sums(queries, keys, lse, scale, request.column_max);
  PrefillStatistics result;
  if (request.column_sums) result.column_sums = columns.sums;
  if (request.column_max) result.column_max = columns.maxima;
  return result;
}

}  // namespace elastikv::cuda
