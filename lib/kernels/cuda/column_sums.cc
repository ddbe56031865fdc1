#include "kernels/cuda/column_sums.h"

#include <algorithm>

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>

#include "base/error.h"
#include "kernels/cuda/runtime.h"

namespace elastikv::cuda {

bool has_column_sums(const at::Tensor& queries) { return has_kernels(queries.scalar_type()); }

ColumnStatistics column_sums(const at::Tensor& queries, const at::Tensor& keys,
                             const at::Tensor& lse, double scale, bool maxima) {
  const int64_t heads = queries.size(0);
  const int64_t tokens = queries.size(1);
  ELASTIKV_ASSERT(heads % keys.size(0) == 0 && keys.size(1) == tokens &&
                      keys.size(2) == queries.size(2) &&
                      keys.scalar_type() == queries.scalar_type(),
                  "{} query heads over {} KV heads", heads, keys.size(0));
  ELASTIKV_ASSERT(lse.scalar_type() == at::kFloat && lse.size(0) == heads && lse.size(1) == tokens,
                  "log-sum-exp of {} heads, {} tokens", lse.size(0), lse.size(1));
  const c10::DeviceGuard guard(queries.device());
  const at::Tensor q = queries.contiguous();
  const at::Tensor k = keys.contiguous();
  const at::Tensor rows = lse.contiguous();
  const auto options = queries.options().dtype(at::kFloat);

  // Long rows of queries are split, so that the first keys, which all queries see, are not the last
  // to end. At most kMostSplits of at least kShortestSpan queries: the order of sums depends on the
  // prompt's length, not on the card.
  constexpr int64_t kMostSplits = 8;
  constexpr int64_t kShortestSpan = 512;
  const int64_t even = (tokens + kMostSplits - 1) / kMostSplits;
  const int64_t span =
      std::max(kShortestSpan, (even + kQueryTile - 1) / kQueryTile * int64_t{kQueryTile});
  const int64_t splits = (tokens + span - 1) / span;

  ColumnStatistics result;
  result.sums = at::empty({heads, tokens}, options);
  if (maxima) result.maxima = at::empty({heads, tokens}, options);
  at::Tensor partial_sums;
  at::Tensor partial_maxima;
  if (splits > 1) {
    partial_sums = at::empty({splits, heads, tokens}, options);
    if (maxima) partial_maxima = at::empty({splits, heads, tokens}, options);
  }
  const auto pointer = [](const at::Tensor& x) {
    return x.defined() ? x.data_ptr<float>() : nullptr;
  };
  ColumnSumsTask task;
  task.queries = q.const_data_ptr();
  task.keys = k.const_data_ptr();
  task.lse = rows.const_data_ptr<float>();
  task.sums = result.sums.data_ptr<float>();
  task.maxima = pointer(result.maxima);
  task.partial_sums = pointer(partial_sums);
  task.partial_maxima = pointer(partial_maxima);
  task.query_heads = static_cast<int>(heads);
  task.group = static_cast<int>(heads / keys.size(0));
  task.tokens = static_cast<int>(tokens);
  task.head_dim = static_cast<int>(queries.size(2));
  task.span = static_cast<int>(span);
  task.splits = static_cast<int>(splits);
  task.scale = static_cast<float>(scale);
  task.element = element_of(queries.scalar_type());
  launch_column_sums(task, current_stream(queries.device()));
  return result;
}

}  // namespace elastikv::cuda
