#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "base/error.h"
#include "strategies/components.h"
#include "strategies/eviction_policy.h"
#include "strategies/released.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// The prompt's entries as the released ElasticCache class keeps them: with f = released_excess,
/// f <= 0 all; f == 1 all but entry 0; else the first `start_size`, the argsort test over the
/// candidates start_size ... T - 2, and the last: T - f - 1 entries, one fewer than meant.
/// Where no candidate passes the test (T - f < start_size + 3) the released code stops with an
/// error; here the protected entries remain.
class ElasticReleasedSelection final : public Selection {
 public:
  explicit ElasticReleasedSelection(int64_t start_size) : start_size_(start_size) {}

  bool needs_scores() const override { return true; }
  bool keeps_exactly() const override { return false; }
  Protected protect(int64_t /*slots*/) const override {
    return {.sinks = start_size_, .recent = 1};
  }
  Granularity finest_granularity() const override { return Granularity::kLayer; }

  KeptSlots select(const SelectionInput& input) const override {
    const at::Tensor& scores = input.scores;
    const int64_t tokens = input.tokens;
    ELASTIKV_ASSERT(scores.size(0) == 1, "released code shares a layer's slots between heads");
    const int64_t excess = released_excess(tokens, tokens, tokens, input.budget);
    KeptSlots kept(1);
    if (excess <= 1) {
      append_range(kept[0], excess == 1 ? 1 : 0, tokens);
      return kept;
    }
    const int64_t start = std::min(start_size_, tokens - 1);
    append_range(kept[0], 0, start);
    const std::vector<int64_t> anchors =
        argsort_as_rank(scores.const_data_ptr<float>(), start, tokens - 1, excess);
    kept[0].insert(kept[0].end(), anchors.begin(), anchors.end());
    kept[0].push_back(tokens - 1);
    return kept;
  }

  std::string description() const override {
    return fmt::format("elastic_released(start_size={})", start_size_);
  }

 private:
  int64_t start_size_;
};

/// Deletes by Python's slicing rules: a negative index counts from the end of the cache with its
/// new entry, and one before its beginning deletes nothing.
class ElasticReleasedPolicy final : public GenerationPolicy {
 public:
  ElasticReleasedPolicy(const GenerationStart& start, int64_t distance)
      : budget_(start.budget),
        prompt_tokens_(start.prompt.prompt_tokens),
        layers_(static_cast<int64_t>(start.prompt.layers.size())) {
    const int64_t excess =
        released_excess(prompt_tokens_, prompt_tokens_, prompt_tokens_, start.budget);
    // The class sets its index only where it compresses by more than one entry.
    if (excess > 1) fixed_ = distance > 0 ? distance : prompt_tokens_ - excess + distance;
  }

  std::vector<StepPlan> step(const DecodeStep& step) override {
    const KVCache& cache = *step.cache;
    const int64_t length = cache.length(/*layer=*/0);
    const int64_t excess = released_excess(length, step.tokens_seen, prompt_tokens_, budget_);
    if (excess <= 0) return {};
    if (fixed_ == -1 && excess == 1) return doubled(cache, length);
    const int64_t rank = fixed_ < 0 ? length + fixed_ : fixed_;
    return evict_rank(cache, layers_, rank < length ? rank : -1);
  }

  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override {
    auto copy = std::make_unique<ElasticReleasedPolicy>(*this);
    copy->budget_ = budget;
    return copy;
  }

 private:
  /// What slicing around index -1 comes to: all but the last entry, then all entries. The released
  /// class stops at its next eviction; here the newest entry goes from then on.
  std::vector<StepPlan> doubled(const KVCache& cache, int64_t length) const {
    std::vector<StepPlan> plans(static_cast<size_t>(layers_));
    for (int64_t layer = 0; layer < layers_; ++layer) {
      const std::vector<int64_t> slots = slots_by_position(cache.positions(layer));
      std::vector<int64_t> kept(slots.begin(), slots.begin() + (length - 1));
      kept.insert(kept.end(), slots.begin(), slots.end());
      plans[static_cast<size_t>(layer)].rebuild.kept = at::tensor(kept, at::kLong).unsqueeze(0);
    }
    return plans;
  }

  Budget budget_;
  int64_t prompt_tokens_;
  int64_t layers_;
  int64_t fixed_ = 0;
};

/// The released fixed index, `distance` (negative) from the nominal end of the compressed prompt,
/// or counted from the beginning when positive.
class ElasticReleasedGeneration final : public Generation {
 public:
  explicit ElasticReleasedGeneration(int64_t distance) : distance_(distance) {}

  Granularity finest_granularity() const override { return Granularity::kLayer; }
  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<ElasticReleasedPolicy>(start, distance_);
  }
  std::string description() const override {
    return fmt::format("elastic_released(distance={})", distance_);
  }

 private:
  int64_t distance_;
};

}  // namespace

std::shared_ptr<const Selection> make_elastic_released_selection(const Parameters& parameters) {
  parameters.require_known({"start_size"});
  return std::make_shared<ElasticReleasedSelection>(
      parameters.integer("start_size", 1, /*least=*/0));
}

std::shared_ptr<const Generation> make_elastic_released_generation(const Parameters& parameters) {
  parameters.require_known({"distance"});
  return std::make_shared<ElasticReleasedGeneration>(parameters.integer("distance", -25));
}

}  // namespace elastikv
