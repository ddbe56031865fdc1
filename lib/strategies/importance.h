#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "strategies/component.h"
#include "strategies/parameters.h"

namespace elastikv {

/// How the query heads that share a decision become one score. Mean and sum rank alike within a
/// decision, but not where decisions compete (adaptive heads) or scores are thresholded.
enum class HeadReduction { kMean, kSum, kMax };

/// Who shares a ranking and how their heads' scores are put together: `granularity` (model, layer,
/// kv_head) and `heads` (mean, sum, max) of most importances.
class Ranking {
 public:
  static Ranking read(const Parameters& parameters, Granularity otherwise);
  /// The parameters it reads, and those of the component itself.
  static std::vector<std::string> names(std::vector<std::string> own);

  Granularity granularity() const { return granularity_; }
  HeadReduction heads() const { return heads_; }
  /// per_head: f32 [query_heads or kv_heads, tokens] of each layer; returns f32 [G, tokens],
  /// contiguous. Layers that share one ranking are averaged. Error when a score is not finite.
  std::vector<at::Tensor> reduce(std::vector<at::Tensor> per_head, int64_t kv_heads) const;
  /// "granularity=layer,heads=mean".
  std::string description() const;

 private:
  Granularity granularity_ = Granularity::kLayer;
  HeadReduction heads_ = HeadReduction::kMean;
};

/// Smoothing of scores along the prompt with a window of `kernel` (odd) around each entry: the mean
/// (entries beyond the ends count as 0) or the largest. scores: f32 [rows, tokens].
at::Tensor pooled(const at::Tensor& scores, int64_t kernel, bool largest);

/// Rows of `statistics.last_rows` of the last `count` queries, f32 [query_heads, n, tokens], with n
/// the smaller of `count` and the rows there are.
at::Tensor last_rows(const LayerStatistics& statistics, int64_t count);
/// The rows of the tokens after the image, f32 [query_heads, tokens_after_image, tokens]. Error
/// when the prompt has none.
at::Tensor post_image_rows(const PromptStatistics& prompt, const LayerStatistics& layer);
/// Their columns on the image, f32 [query_heads, tokens_after_image, image tokens].
at::Tensor image_block(const PromptStatistics& prompt, const LayerStatistics& layer);
/// Euclidean norms over the last dimension of f32 [heads, tokens, head_dim].
at::Tensor norms(const at::Tensor& entries);

}  // namespace elastikv
