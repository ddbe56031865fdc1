#include "kernels/prefill_statistics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>

namespace elastikv {

QueryMoments query_moments(const at::Tensor& queries, int64_t skip) {
  const int64_t tokens = queries.size(1);
  const at::Tensor counted =
      (skip >= tokens ? queries : queries.slice(1, skip, tokens)).to(at::kFloat);
  QueryMoments moments;
  moments.mean = counted.mean(1);
  const at::Tensor centered = counted - moments.mean.unsqueeze(1);
  moments.covariance =
      at::matmul(centered.transpose(1, 2), centered).div_(static_cast<double>(counted.size(1)));
  return moments;
}

PrefillStatistics on_cpu(const PrefillStatistics& statistics) {
  const auto here = [](const at::Tensor& x) { return x.defined() ? x.cpu() : x; };
  PrefillStatistics result;
  result.column_sums = here(statistics.column_sums);
  result.column_max = here(statistics.column_max);
  result.row_entropy = here(statistics.row_entropy);
  result.last_rows = here(statistics.last_rows);
  for (const auto& [decay, average] : statistics.moving_averages)
    result.moving_averages[decay] = here(average);
  for (const auto& [skip, moments] : statistics.query_moments)
    result.query_moments[skip] = {here(moments.mean), here(moments.covariance)};
  return result;
}

}  // namespace elastikv
