#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/compaction.h"
#include "strategies/components.h"
#include "strategies/key_similarity.h"
#include "strategies/merge_options.h"

namespace elastikv {
namespace {

/// LOOK-M's merging (arXiv 2406.18139, section 3.3): every entry that does not stay joins the kept
/// entry whose key has the largest cosine with its own, of equals the earlier. `weights: uniform`
/// is the paper's averaged merging, `weights: pivot` its pivotal merging.
///
/// A source less similar than `threshold` is forgotten (-1: none is). `anchors: all` takes every
/// kept entry, as LOOK-M does; `unprotected` leaves sinks and recent entries as they are, as
/// Elastic Cache does.
class MergeSimilarCompaction final : public Compaction {
 public:
  MergeSimilarCompaction(bool all_anchors, double threshold, MergeOptions options)
      : all_anchors_(all_anchors), threshold_(threshold), options_(std::move(options)) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request;
    request.keys = true;
    return request;
  }
  bool needs_scores() const override { return options_.needs_scores(); }
  bool merges_unrotated_keys() const override { return options_.merges_unrotated_keys(); }

  LayerPlan plan(const CompactionInput& input) const override {
    std::vector<Merges> merges;
    const auto groups = static_cast<int64_t>(input.kept.size());
    for (int64_t g = 0; g < groups; ++g) {
      const auto& kept = input.kept[static_cast<size_t>(g)];
      Merges& here = merges.emplace_back();
      const AnchorRange range =
          anchor_range(kept, input.tokens, input.protect[static_cast<size_t>(g)], all_anchors_);
      const std::vector<int64_t> dropped = dropped_slots(kept, input.tokens);
      if (range.empty() || dropped.empty()) continue;
      const at::Tensor keys = group_keys(input.layer.keys, groups, g);
      const MostSimilar nearest =
          most_similar(rows_at(keys, dropped),
                       rows_at(keys, {kept.begin() + range.first, kept.begin() + range.last}));
      for (size_t i = 0; i < dropped.size(); ++i) {
        if (nearest.cosine[i] < threshold_) continue;
        here.source.push_back(dropped[i]);
        here.anchor.push_back(range.first + nearest.target[i]);
      }
    }
    return options_.plan(input, std::move(merges));
  }

  std::string description() const override {
    return fmt::format("merge_similar(anchors={},threshold={}{})",
                       all_anchors_ ? "all" : "unprotected", threshold_, options_.description());
  }

 private:
  bool all_anchors_;
  double threshold_;
  MergeOptions options_;
};

}  // namespace

std::shared_ptr<const Compaction> make_merge_similar_compaction(const Parameters& parameters) {
  parameters.require_known(MergeOptions::names({"anchors", "threshold"}));
  const std::string anchors = parameters.choice("anchors", "unprotected", {"unprotected", "all"});
  return std::make_shared<MergeSimilarCompaction>(
      anchors == "all", parameters.number("threshold", /*otherwise=*/-1.0, -1.0, 1.0),
      MergeOptions(parameters));
}

}  // namespace elastikv
