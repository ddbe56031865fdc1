#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <fmt/format.h>

#include "strategies/components.h"

namespace elastikv {
namespace {

/// An entry's place in the prompt, whatever the model makes of it: the most recent first, or the
/// first first.
class PositionImportance final : public Importance {
 public:
  explicit PositionImportance(bool recent) : recent_(recent) {}

  StatisticsRequest needs() const override { return {}; }
  Granularity granularity() const override { return Granularity::kLayer; }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    const at::Tensor place = at::arange(prompt.prompt_tokens, at::kFloat).unsqueeze(0);
    return std::vector<at::Tensor>(prompt.layers.size(), recent_ ? place : -place);
  }

  std::string description() const override {
    return fmt::format("position(prefer={})", recent_ ? "recent" : "first");
  }

 private:
  bool recent_;
};

}  // namespace

std::shared_ptr<const Importance> make_position_importance(const Parameters& parameters) {
  parameters.require_known({"prefer"});
  return std::make_shared<PositionImportance>(
      parameters.choice("prefer", "recent", {"recent", "first"}) == "recent");
}

}  // namespace elastikv
