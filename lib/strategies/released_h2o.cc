#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "strategies/components.h"
#include "strategies/eviction_policy.h"
#include "strategies/released.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// The entry that the released H2O class evicts when one has to go: the lowest score among
/// start_size ... length - 2, or -1 when there is none (the released code stops with an error).
int64_t lowest(const float* scores, int64_t start_size, int64_t length) {
  if (start_size >= length - 1) return -1;
  return std::min_element(scores + start_size, scores + length - 1) - scores;
}

/// The prompt's entries as the released H2O class keeps them: with f = released_excess, f <= 0 all;
/// f == 1 all but the lowest; else the argsort test over 0 ... T - 2, without sinks or recent
/// entries, and the last: T - f - 1 entries, at least 1.
class H2OReleasedSelection final : public Selection {
 public:
  explicit H2OReleasedSelection(int64_t start_size) : start_size_(start_size) {}

  bool needs_scores() const override { return true; }
  bool keeps_exactly() const override { return false; }
  /// The sinks count while answering only.
  Protected protect(int64_t /*slots*/) const override {
    return {.sinks = start_size_, .recent = 1};
  }
  Granularity finest_granularity() const override { return Granularity::kLayer; }

  KeptSlots select(const SelectionInput& input) const override {
    const at::Tensor& scores = input.scores;
    const int64_t tokens = input.tokens;
    ELASTIKV_ASSERT(scores.size(0) == 1, "released code shares a layer's slots between heads");
    const float* score = scores.const_data_ptr<float>();
    const int64_t excess = released_excess(tokens, tokens, tokens, input.budget);
    KeptSlots kept(1);
    if (excess > 1) {
      kept[0] = argsort_as_rank(score, 0, tokens - 1, excess);
      kept[0].push_back(tokens - 1);
      return kept;
    }
    const int64_t evicted = excess == 1 ? lowest(score, start_size_, tokens) : -1;
    append_range(kept[0], 0, tokens);
    if (evicted >= 0) kept[0].erase(kept[0].begin() + evicted);
    return kept;
  }

  std::string description() const override {
    return fmt::format("h2o_released(start_size={})", start_size_);
  }

 private:
  int64_t start_size_;
};

/// One score buffer for all layers and heads, by storage index. The class does not compact it when
/// it selects from the prompt, so that from then on a column holds the sum of one prompt entry and
/// the later attention of another; evicting a single entry does move the columns after it.
class H2OReleasedPolicy final : public GenerationPolicy {
 public:
  explicit H2OReleasedPolicy(const GenerationStart& start)
      : budget_(start.budget),
        prompt_tokens_(start.prompt.prompt_tokens),
        layers_(static_cast<int64_t>(start.prompt.layers.size())),
        start_size_(start.selection->protect(start.kept(/*layer=*/0)).sinks) {
    const at::Tensor scores = start.importance->scores(start.prompt).front();
    const float* score = scores.const_data_ptr<float>();
    buffer_.assign(score, score + prompt_tokens_);
    if (released_excess(prompt_tokens_, prompt_tokens_, prompt_tokens_, start.budget) == 1) {
      const int64_t evicted = lowest(score, start_size_, prompt_tokens_);
      if (evicted >= 0) buffer_.erase(buffer_.begin() + evicted);
    }
  }

  std::vector<StepPlan> step(const DecodeStep& step) override {
    const KVCache& cache = *step.cache;
    const int64_t length = cache.length(/*layer=*/0);
    accumulate(step, length);
    const int64_t excess = released_excess(length, step.tokens_seen, prompt_tokens_, budget_);
    if (excess <= 0) return {};
    const int64_t evicted = lowest(buffer_.data(), start_size_, length);
    if (evicted >= 0) buffer_.erase(buffer_.begin() + evicted);
    return evict_rank(cache, layers_, evicted);
  }

  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override {
    auto copy = std::make_unique<H2OReleasedPolicy>(*this);
    copy->budget_ = budget;
    return copy;
  }

 private:
  void accumulate(const DecodeStep& step, int64_t length) {
    ELASTIKV_ASSERT(static_cast<int64_t>(step.rows.size()) == layers_, "{} rows for {} layers",
                    step.rows.size(), layers_);
    if (static_cast<int64_t>(buffer_.size()) < length) buffer_.resize(static_cast<size_t>(length));
    for (int64_t layer = 0; layer < layers_; ++layer) {
      const at::Tensor row = step.rows[static_cast<size_t>(layer)].mean(0).contiguous();
      const float* attention = row.const_data_ptr<float>();
      const std::vector<int64_t> slots = slots_by_position(step.cache->positions(layer));
      for (size_t rank = 0; rank < slots.size(); ++rank) {
        buffer_[rank] += attention[slots[rank]] / static_cast<float>(layers_);
      }
    }
  }

  Budget budget_;
  int64_t prompt_tokens_;
  int64_t layers_;
  int64_t start_size_;
  std::vector<float> buffer_;
};

class H2OReleasedGeneration final : public Generation {
 public:
  bool needs_rows() const override { return true; }
  bool accumulates() const override { return true; }
  Granularity finest_granularity() const override { return Granularity::kModel; }
  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<H2OReleasedPolicy>(start);
  }
  std::string description() const override { return "h2o_released"; }
};

}  // namespace

std::shared_ptr<const Selection> make_h2o_released_selection(const Parameters& parameters) {
  parameters.require_known({"start_size"});
  return std::make_shared<H2OReleasedSelection>(parameters.integer("start_size", 1, /*least=*/0));
}

std::shared_ptr<const Generation> make_h2o_released_generation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<H2OReleasedGeneration>();
}

}  // namespace elastikv
