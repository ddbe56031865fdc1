#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/released.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// The released Local class drops the entries start_size ... start_size + f - 1, clipped to what
/// there is, with f = released_excess; the first start_size always stay, even over the budget.
class LocalReleasedSelection final : public Selection {
 public:
  explicit LocalReleasedSelection(int64_t start_size) : start_size_(start_size) {}

  bool needs_scores() const override { return false; }
  bool keeps_exactly() const override { return false; }
  Protected protect(int64_t slots) const override {
    return {.sinks = start_size_, .recent = slots};
  }
  Granularity finest_granularity() const override { return Granularity::kLayer; }

  KeptSlots select(const SelectionInput& input) const override {
    const int64_t tokens = input.tokens;
    const int64_t excess =
        std::max<int64_t>(0, released_excess(tokens, tokens, tokens, input.budget));
    const int64_t start = std::min(start_size_, tokens);
    KeptSlots kept(1);
    append_range(kept[0], 0, start);
    append_range(kept[0], start + excess, tokens);
    return kept;
  }

  std::string description() const override {
    return fmt::format("local_released(start_size={})", start_size_);
  }

 private:
  int64_t start_size_;
};

class LocalReleasedPolicy final : public GenerationPolicy {
 public:
  explicit LocalReleasedPolicy(const GenerationStart& start)
      : budget_(start.budget),
        prompt_tokens_(start.prompt.prompt_tokens),
        layers_(static_cast<int64_t>(start.prompt.layers.size())),
        start_size_(start.selection->protect(start.kept(/*layer=*/0)).sinks) {}

  std::vector<StepPlan> step(const DecodeStep& step) override {
    const int64_t length = step.cache->length(/*layer=*/0);
    const int64_t excess = released_excess(length, step.tokens_seen, prompt_tokens_, budget_);
    // More than one entry never goes: after every step the cache is at its budget or at its sinks.
    if (excess <= 0 || start_size_ >= length) return {};
    return evict_rank(*step.cache, layers_, start_size_);
  }

  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override {
    auto copy = std::make_unique<LocalReleasedPolicy>(*this);
    copy->budget_ = budget;
    return copy;
  }

 private:
  Budget budget_;
  int64_t prompt_tokens_;
  int64_t layers_;
  int64_t start_size_;
};

class LocalReleasedGeneration final : public Generation {
 public:
  Granularity finest_granularity() const override { return Granularity::kLayer; }
  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<LocalReleasedPolicy>(start);
  }
  std::string description() const override { return "local_released"; }
};

}  // namespace

std::shared_ptr<const Selection> make_local_released_selection(const Parameters& parameters) {
  parameters.require_known({"start_size"});
  return std::make_shared<LocalReleasedSelection>(parameters.integer("start_size", 1, /*least=*/0));
}

std::shared_ptr<const Generation> make_local_released_generation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<LocalReleasedGeneration>();
}

}  // namespace elastikv
