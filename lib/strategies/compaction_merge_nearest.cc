#include <algorithm>
#include <string>
#include <vector>

#include "strategies/compaction.h"
#include "strategies/components.h"

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
class MergeNearestCompaction final : public Compaction {
 public:
  explicit MergeNearestCompaction(bool shifted) : shifted_(shifted) {}

  LayerPlan plan(const KeptSlots& kept, int64_t tokens, Protected protect) const override {
    LayerPlan plan;
    plan.kept = padded_rows(kept);
    std::vector<std::vector<int64_t>> sources;
    std::vector<std::vector<int64_t>> anchors;
    size_t merges = 0;
    for (const auto& row : kept) {
      sources.push_back(sources_of(row, tokens, protect));
      anchors.push_back(nearest_anchors(row, tokens, protect, sources.back()));
      // Without an anchor there is nothing to merge into.
      if (anchors.back().empty()) sources.back().clear();
      merges += sources.back().size();
    }
    if (merges > 0) {
      plan.source = padded_rows(sources);
      plan.anchor = padded_rows(anchors);
    }
    return plan;
  }

  std::string description() const override {
    return shifted_ ? "merge_nearest(sources=shifted)" : "merge_nearest(sources=dropped)";
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
    const auto first = std::lower_bound(kept.begin(), kept.end(), protect.sinks);
    const auto last = std::lower_bound(first, kept.end(), tokens - protect.recent);
    if (first == last) return {};
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
};

}  // namespace

std::shared_ptr<const Compaction> make_merge_nearest_compaction(const Parameters& parameters) {
  parameters.require_known({"sources"});
  const std::string sources = parameters.choice("sources", "dropped", {"dropped", "shifted"});
  return std::make_shared<MergeNearestCompaction>(sources == "shifted");
}

}  // namespace elastikv
