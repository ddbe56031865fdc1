#include "strategies/composition.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"

namespace elastikv {
namespace {

class ComposedStrategy final : public Strategy {
 public:
  explicit ComposedStrategy(Composition composition) : parts_(std::move(composition)) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request{.column_sums = false, .decode_rows = parts_.generation->needs_rows()};
    if (parts_.importance != nullptr) request = request | parts_.importance->needs();
    return request;
  }

  PositionMode positions() const override { return parts_.positions; }

  std::vector<LayerPlan> compress(const PromptStatistics& prompt,
                                  const Budget& budget) const override {
    const size_t layers = prompt.layers.size();
    std::vector<LayerPlan> plans(layers);
    if (budget.is_unlimited()) return plans;
    const int64_t tokens = prompt.prompt_tokens;
    const std::vector<int64_t> slots =
        parts_.allocation->slots_per_layer(prompt, budget.slots(tokens, tokens), tokens);
    std::vector<at::Tensor> scores(layers);
    if (parts_.selection->needs_scores()) scores = parts_.importance->scores(prompt);
    for (size_t layer = 0; layer < layers; ++layer) {
      const KeptSlots kept = parts_.selection->select(scores[layer], tokens, slots[layer], budget);
      bool all = true;
      for (const auto& row : kept) all = all && static_cast<int64_t>(row.size()) == tokens;
      if (all) continue;
      plans[layer] = parts_.compaction->plan(kept, tokens, parts_.selection->protect(slots[layer]));
    }
    return plans;
  }

  std::unique_ptr<GenerationPolicy> begin_generation(const PromptStatistics& prompt,
                                                     const std::vector<LayerPlan>& plans,
                                                     const Budget& budget) const override {
    if (budget.is_unlimited()) return nullptr;
    ELASTIKV_ASSERT(plans.size() == prompt.layers.size(), "{} plans for {} layers", plans.size(),
                    prompt.layers.size());
    return parts_.generation->begin({.prompt = prompt,
                                     .plans = plans,
                                     .budget = budget,
                                     .importance = parts_.importance,
                                     .allocation = parts_.allocation,
                                     .selection = parts_.selection});
  }

  std::string description() const override {
    return fmt::format(
        "importance={} allocation={} selection={} compaction={} generation={} positions={}",
        parts_.importance == nullptr ? "none" : parts_.importance->description(),
        parts_.allocation->description(), parts_.selection->description(),
        parts_.compaction->description(), parts_.generation->description(),
        position_mode_name(parts_.positions));
  }

 private:
  Composition parts_;
};

}  // namespace

std::unique_ptr<Strategy> compose(Composition composition) {
  return std::make_unique<ComposedStrategy>(std::move(composition));
}

std::string position_mode_name(PositionMode mode) {
  switch (mode) {
    case PositionMode::kOriginal:
      return "original";
    case PositionMode::kCacheLength:
      return "cache_length";
    case PositionMode::kRerotated:
      return "rerotated";
  }
  ELASTIKV_ASSERT(false, "position mode {}", static_cast<int>(mode));
}

}  // namespace elastikv
