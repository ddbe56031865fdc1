#pragma once

#include <string>
#include <vector>

#include "strategies/component.h"
#include "strategies/parameters.h"

namespace elastikv {

/// What all merging compactions share: how an anchor's group is averaged, whatever brought it
/// together.
class MergeOptions {
 public:
  /// Reads `weights` (uniform: the paper's; importance: by score; anchor_share: the anchor keeps
  /// `share` of the mean, its sources divide the rest), `share`, `key_space` (rotated, unrotated)
  /// and `count_bias` (add log(group size) to an anchor's attention logits).
  explicit MergeOptions(const Parameters& parameters);
  /// The parameters it reads, and those of the component itself.
  static std::vector<std::string> names(std::vector<std::string> own);

  bool needs_scores() const { return weights_ == Weights::kImportance; }

  /// A plan that keeps `input.kept` and merges sources[g][i] into the kept slot at index
  /// anchors[g][i]. Groups may have different numbers of merges; with none at all the plan evicts.
  LayerPlan plan(const CompactionInput& input, const std::vector<std::vector<int64_t>>& sources,
                 const std::vector<std::vector<int64_t>>& anchors) const;

  /// ",weights=..." for a component's description.
  std::string description() const;

 private:
  enum class Weights { kUniform, kImportance, kAnchorShare };

  Weights weights_;
  double share_;
  LayerPlan::KeySpace key_space_;
  bool count_bias_;
};

}  // namespace elastikv
