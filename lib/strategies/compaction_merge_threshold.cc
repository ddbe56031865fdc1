#include <cmath>
#include <numeric>
#include <optional>
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

/// Entries that do not stay, and how similar each is to its most similar anchor.
struct Evicted {
  std::vector<int64_t> entry;
  std::vector<int64_t> anchor;
  std::vector<float> cosine;

  /// In double, so that equal cosines are their own mean.
  float mean() const {
    const double sum = std::accumulate(cosine.begin(), cosine.end(), 0.0);
    return static_cast<float>(sum / static_cast<double>(cosine.size()));
  }
  /// Those at least as similar as `threshold`; a source weighs exp(cosine) against an anchor's e.
  Merges at_least(float threshold) const {
    Merges merges;
    for (size_t i = 0; i < entry.size(); ++i) {
      if (cosine[i] < threshold) continue;
      merges.source.push_back(entry[i]);
      merges.anchor.push_back(anchor[i]);
      merges.weight.push_back(std::exp(cosine[i] - 1.0F));
    }
    return merges;
  }
};

/// D2O's merging (arXiv 2406.13035, section 3.3): every entry that does not stay joins the kept
/// entry of the most similar key, if their cosine is at least a threshold; else it is forgotten.
/// The threshold of a group is the mean of the prompt's cosines; the anchor's weight is e, a
/// source's exp(cosine).
///
/// `anchors: all` takes every kept entry, as D2O does; `unprotected` leaves sinks and recent
/// entries as they are.
class MergeThresholdCompaction final : public Compaction {
 public:
  MergeThresholdCompaction(bool all_anchors, MergeOptions options)
      : all_anchors_(all_anchors), options_(std::move(options)) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request;
    request.keys = true;
    return request;
  }
  bool needs_scores() const override { return options_.needs_scores(); }

  LayerPlan plan(const CompactionInput& input) const override {
    std::vector<Merges> merges;
    for (size_t g = 0; g < input.kept.size(); ++g) {
      const Evicted evicted =
          evicted_of_prompt(input.layer.keys, input.kept, g, input.protect[g], input.tokens);
      merges.push_back(evicted.entry.empty() ? Merges{} : evicted.at_least(evicted.mean()));
    }
    return options_.plan(input, std::move(merges));
  }

  std::string description() const override {
    return fmt::format("merge_threshold(anchors={}{})", all_anchors_ ? "all" : "unprotected",
                       options_.description());
  }

 private:
  Evicted evicted_of_prompt(const at::Tensor& keys, const KeptSlots& kept, size_t g,
                            Protected protect, int64_t tokens) const {
    const AnchorRange range = anchor_range(kept[g], tokens, protect, all_anchors_);
    Evicted evicted{.entry = dropped_slots(kept[g], tokens), .anchor = {}, .cosine = {}};
    if (range.empty() || evicted.entry.empty()) return {};
    const at::Tensor rows =
        group_keys(keys, static_cast<int64_t>(kept.size()), static_cast<int64_t>(g));
    MostSimilar nearest =
        most_similar(rows_at(rows, evicted.entry),
                     rows_at(rows, {kept[g].begin() + range.first, kept[g].begin() + range.last}));
    for (int64_t& anchor : nearest.target) anchor += range.first;
    evicted.anchor = std::move(nearest.target);
    evicted.cosine = std::move(nearest.cosine);
    return evicted;
  }

  bool all_anchors_;
  MergeOptions options_;
};

}  // namespace

std::shared_ptr<const Compaction> make_merge_threshold_compaction(const Parameters& parameters) {
  parameters.require_known(MergeOptions::names({"anchors"}));
  const std::string anchors = parameters.choice("anchors", "unprotected", {"unprotected", "all"});
  return std::make_shared<MergeThresholdCompaction>(anchors == "all",
                                                    MergeOptions(parameters, "similarity"));
}

}  // namespace elastikv
