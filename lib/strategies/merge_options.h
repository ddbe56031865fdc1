#pragma once

#include <string>
#include <vector>

#include "strategies/compaction.h"
#include "strategies/component.h"
#include "strategies/parameters.h"

namespace elastikv {

/// What all merging compactions share: how an anchor's group is averaged, whatever brought it
/// together.
class MergeOptions {
 public:
  /// Reads `weights`, `share`, `key_space` (rotated, unrotated) and `count_bias` (add log(group
  /// size) to an anchor's attention logits). `weights` is one of
  ///   uniform: the mean of the anchor and its n sources (Elastic Cache's);
  ///   importance: by score;
  ///   anchor_share: the anchor keeps `share` of the mean, its sources divide the rest;
  ///   pivot: the mean of the anchor and of each source's midpoint with it, so the anchor weighs
  ///     1 + n / 2 and a source 1 / 2 (LOOK-M, arXiv 2406.18139);
  ///   `own`: the weights that the component gives; the default of components that name theirs.
  explicit MergeOptions(const Parameters& parameters, const std::string& own = "");
  /// The parameters it reads, and those of the component itself.
  static std::vector<std::string> names(std::vector<std::string> own);

  bool needs_scores() const { return weights_ == "importance"; }
  LayerPlan::KeySpace key_space() const { return key_space_; }
  bool merges_unrotated_keys() const { return key_space_ == LayerPlan::KeySpace::kUnrotated; }

  /// A plan that keeps `input.kept` and carries out each group's merges, ordered by anchor. Groups
  /// may have different numbers of merges; with none at all the plan evicts.
  LayerPlan plan(const CompactionInput& input, std::vector<Merges> merges) const;

  /// Weights of one group's merges.
  struct Weights {
    std::vector<float> source;  ///< [merges]
    std::vector<float> anchor;  ///< [kept]
  };
  /// source_scores: [merges], anchor_scores: [kept], either empty unless weighing by importance.
  /// Without scores every entry counts the same.
  Weights weigh(const Merges& merges, size_t kept, const std::vector<float>& source_scores,
                const std::vector<float>& anchor_scores) const;

  /// ",weights=..." for a component's description.
  std::string description() const;

 private:
  std::string weights_;
  double share_;
  LayerPlan::KeySpace key_space_;
  bool count_bias_;
};

}  // namespace elastikv
