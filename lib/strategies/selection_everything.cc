#include "strategies/components.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// The whole prompt stays, whatever the budget: the full cache.
class EverythingSelection final : public Selection {
 public:
  bool needs_scores() const override { return false; }
  bool keeps_exactly() const override { return false; }
  Protected protect(int64_t slots) const override { return {.sinks = slots, .recent = 0}; }
  KeptSlots select(const SelectionInput& input) const override {
    KeptSlots kept(1);
    append_range(kept[0], 0, input.tokens);
    return kept;
  }
  std::string description() const override { return "everything"; }
};

}  // namespace

std::shared_ptr<const Selection> make_everything_selection(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<EverythingSelection>();
}

}  // namespace elastikv
