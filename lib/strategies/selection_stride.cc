#include <algorithm>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// Every n-th entry between the first `sinks` and the last `recent`, with n as the budget has it
/// (not a whole number in general): the control that knows positions only.
class StrideSelection final : public Selection {
 public:
  StrideSelection(int64_t sinks, int64_t recent) : sinks_(sinks), recent_(recent) {}

  bool needs_scores() const override { return false; }
  Protected protect(int64_t slots) const override { return fit_protection(sinks_, recent_, slots); }

  KeptSlots select(const SelectionInput& input) const override {
    KeptSlots kept;
    for (const int64_t slots : input.slots) {
      const Protected fitted = protect(slots);
      const int64_t wanted = slots - fitted.sinks - fitted.recent;
      const int64_t between = input.tokens - fitted.sinks - fitted.recent;
      auto& row = kept.emplace_back();
      append_range(row, 0, fitted.sinks);
      // The middles of `wanted` equal parts of the range.
      for (int64_t i = 0; i < wanted; ++i) {
        row.push_back(fitted.sinks + (2 * i + 1) * between / (2 * wanted));
      }
      append_range(row, input.tokens - fitted.recent, input.tokens);
    }
    return kept;
  }

  std::string description() const override {
    return fmt::format("stride(sinks={},recent={})", sinks_, recent_);
  }

 private:
  int64_t sinks_;
  int64_t recent_;
};

}  // namespace

std::shared_ptr<const Selection> make_stride_selection(const Parameters& parameters) {
  parameters.require_known({"sinks", "recent"});
  return std::make_shared<StrideSelection>(parameters.integer("sinks", 1, /*least=*/0),
                                           parameters.integer("recent", 1, /*least=*/0));
}

}  // namespace elastikv
