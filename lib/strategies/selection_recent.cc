#include <algorithm>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// The first `sinks` and the most recent entries (StreamingLLM, arXiv 2309.17453).
class RecentSelection final : public Selection {
 public:
  explicit RecentSelection(int64_t sinks) : sinks_(sinks) {}

  bool needs_scores() const override { return false; }
  Protected protect(int64_t slots) const override { return fit_protection(sinks_, slots, slots); }

  KeptSlots select(const SelectionInput& input) const override {
    KeptSlots kept;
    for (const int64_t slots : input.slots) {
      const Protected fitted = protect(slots);
      auto& row = kept.emplace_back();
      append_range(row, 0, fitted.sinks);
      append_range(row, input.tokens - fitted.recent, input.tokens);
    }
    return kept;
  }

  std::string description() const override { return fmt::format("recent(sinks={})", sinks_); }

 private:
  int64_t sinks_;
};

}  // namespace

std::shared_ptr<const Selection> make_recent_selection(const Parameters& parameters) {
  parameters.require_known({"sinks"});
  return std::make_shared<RecentSelection>(parameters.integer("sinks", 4, /*least=*/0));
}

}  // namespace elastikv
