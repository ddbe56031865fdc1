#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// The whole prompt stays, whatever the budget: the full cache, or a method's generation stage by
/// itself.
class EverythingSelection final : public Selection {
 public:
  /// `kept`: what a generation policy may not evict, where a preset says so.
  explicit EverythingSelection(std::optional<WishedProtection> kept) : kept_(kept) {}

  bool needs_scores() const override { return false; }
  bool keeps_exactly() const override { return false; }
  Protected protect(int64_t slots) const override {
    return kept_ ? kept_->in(slots) : Protected{.sinks = slots, .recent = 0};
  }
  KeptSlots select(const SelectionInput& input) const override {
    KeptSlots kept(1);
    append_range(kept[0], 0, input.tokens);
    return kept;
  }
  std::string description() const override {
    return kept_ ? fmt::format("everything({})", kept_->description()) : "everything";
  }

 private:
  std::optional<WishedProtection> kept_;
};

}  // namespace

std::shared_ptr<const Selection> make_everything_selection(const Parameters& parameters) {
  const std::vector<std::string> names = WishedProtection::names();
  parameters.require_known(names);
  const bool says = std::any_of(names.begin(), names.end(),
                                [&](const std::string& name) { return parameters.has(name); });
  return std::make_shared<EverythingSelection>(
      says ? std::optional(WishedProtection::read(parameters)) : std::nullopt);
}

}  // namespace elastikv
