#include <algorithm>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// The first `sinks`, the last `recent` (or `recent_share` of the slots, when that is more), and of
/// the others those with the largest scores. `text_first` keeps text before image tokens,
/// whatever their scores (LOOK-M, arXiv 2406.18139).
class TopSelection final : public Selection {
 public:
  TopSelection(int64_t sinks, int64_t recent, double recent_share, bool text_first)
      : sinks_(sinks), recent_(recent), recent_share_(recent_share), text_first_(text_first) {}

  bool needs_scores() const override { return true; }

  Protected protect(int64_t slots) const override {
    const auto share = static_cast<int64_t>(recent_share_ * static_cast<double>(slots));
    return fit_protection(sinks_, std::max(recent_, share), slots);
  }

  KeptSlots select(const SelectionInput& input) const override {
    KeptSlots kept;
    for (int64_t group = 0; group < input.scores.size(0); ++group) {
      const int64_t slots = input.slots_of(static_cast<size_t>(group));
      const float* scores = input.scores.const_data_ptr<float>() + group * input.tokens;
      kept.push_back(best_slots(scores, input.tokens, slots, protect(slots),
                                text_first_ ? input.image_begin : 0,
                                text_first_ ? input.image_end : 0));
    }
    return kept;
  }

  std::string description() const override {
    return fmt::format("top(sinks={},recent={},recent_share={},text_first={})", sinks_, recent_,
                       recent_share_, text_first_);
  }

 private:
  int64_t sinks_;
  int64_t recent_;
  double recent_share_;
  bool text_first_;
};

}  // namespace

std::shared_ptr<const Selection> make_top_selection(const Parameters& parameters) {
  parameters.require_known({"sinks", "recent", "recent_share", "text_first"});
  return std::make_shared<TopSelection>(
      parameters.integer("sinks", 1, /*least=*/0), parameters.integer("recent", 1, /*least=*/0),
      parameters.share("recent_share", 0.0), parameters.flag("text_first", false));
}

}  // namespace elastikv
