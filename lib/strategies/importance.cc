#include "strategies/importance.h"

#include <algorithm>

#include <ATen/ops/avg_pool1d.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include "base/error.h"

namespace elastikv {

Ranking Ranking::read(const Parameters& parameters, Granularity otherwise) {
  Ranking ranking;
  ranking.granularity_ = parameters.granularity(otherwise);
  const std::string heads = parameters.choice("heads", "mean", {"mean", "sum", "max"});
  ranking.heads_ = heads == "mean"  ? HeadReduction::kMean
                   : heads == "sum" ? HeadReduction::kSum
                                    : HeadReduction::kMax;
  return ranking;
}

std::vector<std::string> Ranking::names(std::vector<std::string> own) {
  own.emplace_back("granularity");
  own.emplace_back("heads");
  return own;
}

std::vector<at::Tensor> Ranking::reduce(std::vector<at::Tensor> per_head, int64_t kv_heads) const {
  const int64_t groups = groups_of(granularity_, kv_heads);
  for (at::Tensor& scores : per_head) {
    const at::Tensor grouped = scores.reshape({groups, scores.size(0) / groups, scores.size(1)});
    scores = (heads_ == HeadReduction::kMean  ? grouped.mean(1)
              : heads_ == HeadReduction::kSum ? grouped.sum(1)
                                              : grouped.amax(1))
                 .contiguous();
  }
  if (granularity_ == Granularity::kModel) {
    const at::Tensor shared = at::stack(per_head).mean(0);
    per_head.assign(per_head.size(), shared);
  }
  return per_head;
}

std::string Ranking::description() const {
  return fmt::format("granularity={},heads={}", granularity_name(granularity_),
                     heads_ == HeadReduction::kMean  ? "mean"
                     : heads_ == HeadReduction::kSum ? "sum"
                                                     : "max");
}

at::Tensor pooled(const at::Tensor& scores, int64_t kernel, bool largest) {
  if (kernel == 1 || scores.size(1) == 0) return scores;
  const at::Tensor rows = scores.unsqueeze(1);
  return (largest ? at::max_pool1d(rows, kernel, /*stride=*/1, /*padding=*/kernel / 2)
                  : at::avg_pool1d(rows, kernel, /*stride=*/1, /*padding=*/kernel / 2))
      .squeeze(1);
}

at::Tensor last_rows(const LayerStatistics& statistics, int64_t count) {
  const at::Tensor& rows = statistics.last_rows;
  ELASTIKV_ASSERT(rows.defined() && rows.dim() == 3, "the prompt's last rows are missing");
  const int64_t wanted = std::min(count, rows.size(1));
  return rows.narrow(1, rows.size(1) - wanted, wanted);
}

at::Tensor post_image_rows(const PromptStatistics& prompt, const LayerStatistics& layer) {
  const std::string problem = missing_for({.post_image_rows = true}, prompt.prompt_tokens,
                                          prompt.image_begin, prompt.image_end);
  if (!problem.empty()) fail("the prompt {}", problem);
  at::Tensor rows = last_rows(layer, prompt.tokens_after_image());
  ELASTIKV_ASSERT(rows.size(1) == prompt.tokens_after_image(), "{} rows for {} tokens",
                  rows.size(1), prompt.tokens_after_image());
  return rows;
}

at::Tensor image_block(const PromptStatistics& prompt, const LayerStatistics& layer) {
  return post_image_rows(prompt, layer)
      .narrow(2, prompt.image_begin, prompt.image_end - prompt.image_begin);
}

at::Tensor norms(const at::Tensor& entries) {
  ELASTIKV_ASSERT(entries.defined() && entries.dim() == 3, "the prompt's entries are missing");
  return at::linalg_vector_norm(entries, /*ord=*/2, /*dim=*/{2});
}

}  // namespace elastikv
