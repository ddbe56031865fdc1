#include "strategies/key_similarity.h"

#include <tuple>

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/max.h>

#include "base/error.h"

namespace elastikv {
namespace {

/// Rows of length 1, zeros where there is no direction.
at::Tensor unit_rows(const at::Tensor& rows) {
  return rows.div(at::linalg_vector_norm(rows, /*ord=*/2, /*dim=*/{1}, /*keepdim=*/true))
      .nan_to_num(/*nan=*/0.0, /*posinf=*/0.0, /*neginf=*/0.0);
}

template <typename Value>
std::vector<Value> to_vector(const at::Tensor& values) {
  const at::Tensor here = values.cpu().contiguous();
  const Value* first = here.const_data_ptr<Value>();
  return std::vector<Value>(first, first + here.numel());
}

}  // namespace

at::Tensor group_keys(const at::Tensor& keys, int64_t groups, int64_t group) {
  ELASTIKV_ASSERT(keys.defined() && keys.dim() == 3 && (groups == 1 || groups == keys.size(0)),
                  "keys for {} groups", groups);
  if (groups > 1) return keys.select(0, group).to(at::kFloat);
  return keys.permute({1, 0, 2}).reshape({keys.size(1), -1}).to(at::kFloat);
}

at::Tensor rows_at(const at::Tensor& rows, const std::vector<int64_t>& indices) {
  // index_select copies, so that the view of `indices` does not outlive them.
  const at::Tensor at_indices =
      at::from_blob(const_cast<int64_t*>(indices.data()), {static_cast<int64_t>(indices.size())},
                    at::TensorOptions().dtype(at::kLong));
  return at::index_select(rows, 0, at_indices.to(rows.device()));
}

MostSimilar most_similar(const at::Tensor& sources, const at::Tensor& targets) {
  const auto [cosine, target] =
      at::max(at::matmul(unit_rows(sources), unit_rows(targets).t()), /*dim=*/1);
  return {.target = to_vector<int64_t>(target),
          .cosine = to_vector<float>(cosine.clamp(/*min=*/-1.0, /*max=*/1.0))};
}

std::vector<float> row_cosines(const at::Tensor& rows, const at::Tensor& others) {
  return to_vector<float>(unit_rows(rows).mul(unit_rows(others)).sum(1));
}

std::vector<float> neighbour_cosines(const at::Tensor& rows) {
  const int64_t pairs = rows.size(0) - 1;
  return row_cosines(rows.narrow(0, 0, pairs), rows.narrow(0, 1, pairs));
}

}  // namespace elastikv
