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
  TopSelection(const WishedProtection& wish, bool text_first)
      : wish_(wish), text_first_(text_first) {}

  bool needs_scores() const override { return true; }

  Protected protect(int64_t slots) const override { return wish_.in(slots); }

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
    return fmt::format("top({},text_first={})", wish_.description(), text_first_);
  }

 private:
  WishedProtection wish_;
  bool text_first_;
};

}  // namespace

std::shared_ptr<const Selection> make_top_selection(const Parameters& parameters) {
  parameters.require_known(WishedProtection::names({"text_first"}));
  return std::make_shared<TopSelection>(WishedProtection::read(parameters),
                                        parameters.flag("text_first", false));
}

}  // namespace elastikv
