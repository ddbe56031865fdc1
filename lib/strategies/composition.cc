#include "strategies/composition.h"

#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/revisions.h"
#include "strategies/finite.h"

namespace elastikv {
namespace {

class ComposedStrategy final : public Strategy {
 public:
  explicit ComposedStrategy(Composition composition) : parts_(std::move(composition)) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request =
        parts_.allocation->needs() | parts_.selection->needs() | parts_.compaction->needs();
    request.decode_rows |= parts_.generation->needs_rows();
    if (parts_.importance != nullptr) request = request | parts_.importance->needs();
    return request;
  }

  PositionMode positions() const override { return parts_.positions; }
  bool merges() const override { return parts_.compaction->merges(); }

  std::vector<LayerPlan> compress(const PromptStatistics& prompt,
                                  const Budget& budget) const override {
    const size_t layers = prompt.layers.size();
    std::vector<LayerPlan> plans(layers);
    if (budget.is_unlimited()) return plans;
    const int64_t tokens = prompt.prompt_tokens;
    const std::vector<int64_t> slots = parts_.allocation->slots_per_layer(
        prompt, budget.slots(tokens, tokens) * static_cast<int64_t>(layers));
    const std::vector<at::Tensor> scores = importance(prompt);
    at::parallel_for(
        0, static_cast<int64_t>(layers), /*grain_size=*/1, [&](int64_t begin, int64_t end) {
          for (auto layer = static_cast<size_t>(begin); layer < static_cast<size_t>(end); ++layer) {
            plans[layer] = compress_layer(prompt, budget, layer, slots[layer],
                                          scores.empty() ? at::Tensor() : scores[layer]);
          }
        });
    return plans;
  }

  std::vector<at::Tensor> importance(const PromptStatistics& prompt) const override {
    if (parts_.importance == nullptr) return {};
    std::vector<at::Tensor> scores = parts_.importance->scores(prompt);
    require_finite_scores(scores);
    return scores;
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
                                     .selection = parts_.selection,
                                     .compaction = parts_.compaction});
  }

  std::string description() const override {
    return fmt::format(
        "importance={} allocation={} heads={} selection={} compaction={} generation={} "
        "positions={}{}{}",
        parts_.importance == nullptr ? "none" : parts_.importance->description(),
        parts_.allocation->description(),
        parts_.heads == nullptr ? "uniform" : parts_.heads->description(),
        parts_.selection->description(), parts_.compaction->description(),
        parts_.generation->description(), position_mode_name(parts_.positions), raised_revisions(),
        parts_.plugins.empty() ? "" : fmt::format(" plugins={}", fmt::join(parts_.plugins, ",")));
  }

  std::vector<std::string> parts() const override { return parts_.parts; }

 private:
  std::string raised_revisions() const {
    std::string text;
    for (const std::string& part : parts_.parts) {
      const int64_t revision = revision_of(part);
      if (revision > 1)
        text += fmt::format("{}{}:{}", text.empty() ? " revisions=" : ",", part, revision);
    }
    return text;
  }

  LayerPlan compress_layer(const PromptStatistics& prompt, const Budget& budget, size_t layer,
                           int64_t slots, const at::Tensor& scores) const {
    const LayerStatistics& statistics = prompt.layers[layer];
    SelectionInput input{.scores = scores,
                         .tokens = prompt.prompt_tokens,
                         .slots = {slots},
                         .budget = budget,
                         .image_begin = prompt.image_begin,
                         .image_end = prompt.image_end,
                         .layer = &statistics};
    if (parts_.heads != nullptr && slots < input.tokens) {
      input.slots = parts_.heads->slots_per_head(scores, slots, parts_.selection->protect(slots));
    }
    const KeptSlots kept = parts_.selection->select(input);
    bool all = true;
    std::vector<Protected> protect;
    for (const auto& row : kept) {
      const auto count = static_cast<int64_t>(row.size());
      all = all && count == input.tokens;
      protect.push_back(parts_.selection->protect(count));
    }
    if (all) return {};
    return parts_.compaction->plan({.kept = kept,
                                    .protect = protect,
                                    .tokens = input.tokens,
                                    .scores = scores,
                                    .layer = statistics,
                                    .layer_index = static_cast<int64_t>(layer),
                                    .seed = prompt.seed});
  }

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
