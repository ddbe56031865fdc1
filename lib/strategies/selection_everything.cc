#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// What a generation policy may not evict, where a preset says so.
struct KeptWhileAnswering {
  int64_t sinks;
  int64_t recent;
  double recent_share;
};

/// The whole prompt stays, whatever the budget: the full cache, or a method's generation stage by
/// itself.
class EverythingSelection final : public Selection {
 public:
  explicit EverythingSelection(std::optional<KeptWhileAnswering> kept) : kept_(kept) {}

  bool needs_scores() const override { return false; }
  bool keeps_exactly() const override { return false; }
  Protected protect(int64_t slots) const override {
    if (!kept_) return {.sinks = slots, .recent = 0};
    const auto share = static_cast<int64_t>(kept_->recent_share * static_cast<double>(slots));
    return fit_protection(kept_->sinks, std::max(kept_->recent, share), slots);
  }
  KeptSlots select(const SelectionInput& input) const override {
    KeptSlots kept(1);
    append_range(kept[0], 0, input.tokens);
    return kept;
  }
  std::string description() const override {
    if (!kept_) return "everything";
    return fmt::format("everything(sinks={},recent={},recent_share={})", kept_->sinks,
                       kept_->recent, kept_->recent_share);
  }

 private:
  std::optional<KeptWhileAnswering> kept_;
};

}  // namespace

std::shared_ptr<const Selection> make_everything_selection(const Parameters& parameters) {
  parameters.require_known({"sinks", "recent", "recent_share"});
  if (!parameters.has("sinks") && !parameters.has("recent") && !parameters.has("recent_share"))
    return std::make_shared<EverythingSelection>(std::nullopt);
  return std::make_shared<EverythingSelection>(
      KeptWhileAnswering{.sinks = parameters.integer("sinks", 1, /*least=*/0),
                         .recent = parameters.integer("recent", 1, /*least=*/0),
                         .recent_share = parameters.share("recent_share", 0.0)});
}

}  // namespace elastikv
