#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/compaction.h"
#include "strategies/components.h"
#include "strategies/merge_limits.h"
#include "strategies/merge_options.h"

namespace elastikv {
namespace {

/// Elastic Cache's merging (arXiv 2407.18121, section 3.2): every entry that does not stay joins
/// the anchor nearest by position, of two equally near ones the earlier, and an anchor becomes the
/// unweighted mean of its group. Protected entries are no anchors.
///
/// `sources: shifted` is what the released code does: an entry's index within the candidates is
/// taken for its position, so all sources lie `sinks` to the left of the entries meant. Some are
/// then anchors, which count twice in their own mean, or sinks, which also stay. The released code
/// does not merge at all when only one entry goes.
///
/// `merge: values` averages values alone; an anchor keeps its key.
class MergeNearestCompaction final : public Compaction {
 public:
  MergeNearestCompaction(bool shifted, bool values_only, MergeLimits limits, MergeOptions options)
      : shifted_(shifted),
        values_only_(values_only),
        limits_(limits),
        options_(std::move(options)) {}

  StatisticsRequest needs() const override { return limits_.needs(); }
  bool needs_scores() const override { return options_.needs_scores(); }
  bool merges_unrotated_keys() const override { return options_.merges_unrotated_keys(); }

  LayerPlan plan(const CompactionInput& input) const override {
    std::vector<Merges> merges;
    for (size_t g = 0; g < input.kept.size(); ++g) {
      const std::vector<int64_t>& row = input.kept[g];
      Merges& here = merges.emplace_back();
      here.source = sources_of(row, input.tokens, input.protect[g]);
      here.anchor = nearest_anchors(row, input.tokens, input.protect[g], here.source);
      // Without an anchor there is nothing to merge into.
      if (here.anchor.empty()) here.source.clear();
      here = limits_.limited(input, g, std::move(here));
    }
    LayerPlan plan = options_.plan(input, std::move(merges));
    plan.merge_keys = !values_only_;
    return plan;
  }

  std::string description() const override {
    return fmt::format("merge_nearest(sources={}{}{}{})", shifted_ ? "shifted" : "dropped",
                       options_.description(), values_only_ ? ",merge=values" : "",
                       limits_.description());
  }

 private:
  std::vector<int64_t> sources_of(const std::vector<int64_t>& kept, int64_t tokens,
                                  Protected protect) const {
    std::vector<int64_t> sources = dropped_slots(kept, tokens);
    if (!shifted_) return sources;
    if (sources.size() == 1) return {};
    for (int64_t& source : sources) source -= protect.sinks;
    return sources;
  }

  /// For every source the index into `kept` of its anchor; empty when there are no anchors.
  static std::vector<int64_t> nearest_anchors(const std::vector<int64_t>& kept, int64_t tokens,
                                              Protected protect,
                                              const std::vector<int64_t>& sources) {
    const AnchorRange range = anchor_range(kept, tokens, protect);
    if (range.empty()) return {};
    const auto first = kept.begin() + range.first;
    const auto last = kept.begin() + range.last;
    std::vector<int64_t> nearest;
    nearest.reserve(sources.size());
    for (const int64_t source : sources) {
      auto after = std::lower_bound(first, last, source);
      if (after == last || (after != first && source - *(after - 1) <= *after - source)) --after;
      nearest.push_back(after - kept.begin());
    }
    return nearest;
  }

  bool shifted_;
  bool values_only_;
  MergeLimits limits_;
  MergeOptions options_;
};

}  // namespace

std::shared_ptr<const Compaction> make_merge_nearest_compaction(const Parameters& parameters) {
  parameters.require_known(MergeOptions::names(MergeLimits::names({"sources", "merge"})));
  const std::string sources = parameters.choice("sources", "dropped", {"dropped", "shifted"});
  const std::string merge =
      parameters.choice("merge", "keys_and_values", {"keys_and_values", "values"});
  return std::make_shared<MergeNearestCompaction>(
      sources == "shifted", merge == "values", MergeLimits(parameters), MergeOptions(parameters));
}

}  // namespace elastikv
