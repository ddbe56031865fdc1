#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/compaction.h"
#include "strategies/components.h"
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
class MergeNearestCompaction final : public Compaction {
 public:
  MergeNearestCompaction(bool shifted, MergeOptions options)
      : shifted_(shifted), options_(std::move(options)) {}

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
    }
    return options_.plan(input, std::move(merges));
  }

  std::string description() const override {
    return fmt::format("merge_nearest(sources={}{})", shifted_ ? "shifted" : "dropped",
                       options_.description());
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
  MergeOptions options_;
};

}  // namespace

std::shared_ptr<const Compaction> make_merge_nearest_compaction(const Parameters& parameters) {
  parameters.require_known(MergeOptions::names({"sources"}));
  const std::string sources = parameters.choice("sources", "dropped", {"dropped", "shifted"});
  return std::make_shared<MergeNearestCompaction>(sources == "shifted", MergeOptions(parameters));
}

}  // namespace elastikv
