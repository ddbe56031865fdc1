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

  KeptSlots select(const at::Tensor& /*scores*/, int64_t tokens, int64_t slots,
                   const Budget& /*budget*/) const override {
    const Protected fitted = protect(std::min(slots, tokens));
    KeptSlots kept(1);
    append_range(kept[0], 0, fitted.sinks);
    append_range(kept[0], tokens - fitted.recent, tokens);
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
