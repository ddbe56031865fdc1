#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/compaction.h"
#include "strategies/components.h"
#include "strategies/merge_threshold_steps.h"

namespace elastikv {
namespace {

/// Entries of a prompt that do not stay; `nearest` counts the anchors from range.first.
struct Evicted {
  std::vector<int64_t> slots;
  AnchorRange range;
  MostSimilar nearest;
};

/// D2O's merging (arXiv 2406.13035, section 3.3): every entry that does not stay joins the kept
/// entry of the most similar key, if their cosine is at least a threshold; else it is forgotten.
/// The threshold of a group is the mean of the prompt's cosines, and while generating their moving
/// average with `decay`. The anchor's weight is e, a source's exp(cosine).
///
/// `anchors: all` takes every kept entry, as D2O does; `unprotected` leaves sinks and recent
/// entries as they are.
class MergeThresholdCompaction final : public Compaction {
 public:
  MergeThresholdCompaction(bool all_anchors, double decay, MergeOptions options)
      : all_anchors_(all_anchors), decay_(decay), options_(std::move(options)) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request;
    request.keys = true;
    return request;
  }
  bool needs_scores() const override { return options_.needs_scores(); }
  bool merges_unrotated_keys() const override { return options_.merges_unrotated_keys(); }

  LayerPlan plan(const CompactionInput& input) const override {
    std::vector<Merges> merges;
    for (size_t g = 0; g < input.kept.size(); ++g) {
      const Evicted evicted = evict(input.layer.keys, input.kept, g, input.protect[g]);
      Merges& here = merges.emplace_back();
      if (evicted.slots.empty()) continue;
      here = similar_enough(evicted.slots, evicted.nearest, mean_cosine(evicted.nearest));
      for (int64_t& anchor : here.anchor) anchor += evicted.range.first;
    }
    return options_.plan(input, std::move(merges));
  }

  LayerPlan step_plan_options() const override {
    LayerPlan options;
    options.key_space = options_.key_space();
    return options;
  }

  std::unique_ptr<StepCompaction> begin(const GenerationStart& start) const override {
    ThresholdSteps::Thresholds thresholds;
    for (size_t layer = 0; layer < start.plans.size(); ++layer) {
      if (start.plans[layer].keeps_everything()) continue;
      const KeptSlots kept = unpadded_rows(start.plans[layer].kept);
      for (size_t g = 0; g < kept.size(); ++g) {
        const Protected protect = start.selection->protect(static_cast<int64_t>(kept[g].size()));
        const Evicted evicted = evict(start.prompt.layers[layer].keys, kept, g, protect);
        if (evicted.slots.empty()) continue;
        thresholds.emplace(std::pair(layer, g), mean_cosine(evicted.nearest));
      }
    }
    return std::make_unique<ThresholdSteps>(all_anchors_, decay_, options_, std::move(thresholds));
  }

  std::string description() const override {
    return fmt::format("merge_threshold(anchors={},decay={}{})",
                       all_anchors_ ? "all" : "unprotected", decay_, options_.description());
  }

 private:
  /// Empty when nothing goes or there is no anchor.
  Evicted evict(const at::Tensor& keys, const KeptSlots& kept, size_t g, Protected protect) const {
    Evicted evicted{.slots = dropped_slots(kept[g], keys.size(1)),
                    .range = anchor_range(kept[g], keys.size(1), protect, all_anchors_),
                    .nearest = {}};
    if (evicted.range.empty() || evicted.slots.empty()) return {};
    const at::Tensor rows =
        group_keys(keys, static_cast<int64_t>(kept.size()), static_cast<int64_t>(g));
    evicted.nearest = most_similar(rows_at(rows, evicted.slots),
                                   rows_at(rows, {kept[g].begin() + evicted.range.first,
                                                  kept[g].begin() + evicted.range.last}));
    return evicted;
  }

  bool all_anchors_;
  double decay_;
  MergeOptions options_;
};

}  // namespace

std::shared_ptr<const Compaction> make_merge_threshold_compaction(const Parameters& parameters) {
  parameters.require_known(MergeOptions::names({"anchors", "decay"}));
  const std::string anchors = parameters.choice("anchors", "unprotected", {"unprotected", "all"});
  return std::make_shared<MergeThresholdCompaction>(
      anchors == "all", parameters.share("decay", 0.5), MergeOptions(parameters, "similarity"));
}

}  // namespace elastikv
