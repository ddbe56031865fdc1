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

  KeptSlots select(const at::Tensor& /*scores*/, int64_t tokens, int64_t slots,
                   const Budget& /*budget*/) const override {
    const int64_t count = std::min(slots, tokens);
    const Protected fitted = protect(count);
    const int64_t wanted = count - fitted.sinks - fitted.recent;
    const int64_t between = tokens - fitted.sinks - fitted.recent;
    KeptSlots kept(1);
    append_range(kept[0], 0, fitted.sinks);
    // The middles of `wanted` equal parts of the range.
    for (int64_t i = 0; i < wanted; ++i) {
      kept[0].push_back(fitted.sinks + (2 * i + 1) * between / (2 * wanted));
    }
    append_range(kept[0], tokens - fitted.recent, tokens);
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
