#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "strategies/components.h"
#include "strategies/eviction_policy.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

class LowestScorePolicy final : public EvictionPolicy {
 public:
  explicit LowestScorePolicy(GenerationStart start) : EvictionPolicy(std::move(start)) {
    const PromptStatistics& prompt = this->start().prompt;
    const std::vector<at::Tensor> scores = this->start().importance->scores(prompt);
    for (size_t layer = 0; layer < (shared() ? 1 : scores.size()); ++layer) {
      auto& sums = sums_.emplace_back();
      const float* score = scores[layer].const_data_ptr<float>();
      for (int64_t group = 0; group < scores[layer].size(0); ++group) {
        auto& row = sums.emplace_back(score, score + prompt.prompt_tokens);
        score += prompt.prompt_tokens;
        for (size_t n = 0; averages_observers() && n < row.size(); ++n) {
          row[n] *= static_cast<float>(row.size() - n);
        }
      }
    }
  }

  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override {
    return going_on(*this, budget);
  }

 protected:
  int64_t groups(const KVCache& cache, int64_t layer) const override {
    const int64_t own = groups_of(start().importance->granularity(), start().prompt.kv_heads);
    return std::max(own, cache.groups(layer));
  }

  /// Adds the new token's attention to the entries it went to, averaged as the prompt's was.
  void observe(const DecodeStep& step) override {
    const PromptStatistics& prompt = start().prompt;
    const size_t layers = prompt.layers.size();
    ELASTIKV_ASSERT(step.rows.size() == layers, "{} attention rows for {} layers", step.rows.size(),
                    layers);
    const int64_t per_kv_head = prompt.query_heads / prompt.kv_heads;
    for (size_t layer = 0; layer < layers; ++layer) {
      const at::Tensor rows = step.rows[layer].contiguous();
      auto& sums = sums_[shared() ? 0 : layer];
      const auto separate = static_cast<int64_t>(sums.size());
      const int64_t heads_per_group = prompt.query_heads / separate;
      const float weight = 1.0F / static_cast<float>(heads_per_group * (shared() ? layers : 1));
      for (auto& row : sums) row.resize(static_cast<size_t>(step.tokens_seen));
      for (int64_t head = 0; head < prompt.query_heads; ++head) {
        const bool one_set = step.cache->groups(static_cast<int64_t>(layer)) == 1;
        const auto& positions =
            step.cache->positions(static_cast<int64_t>(layer), one_set ? 0 : head / per_kv_head);
        std::vector<float>& row = sums[static_cast<size_t>(head / heads_per_group)];
        const float* attention = rows.const_data_ptr<float>() + head * rows.size(1);
        for (size_t slot = 0; slot < positions.size(); ++slot) {
          row[static_cast<size_t>(positions[slot])] += weight * attention[slot];
        }
      }
    }
  }

  std::vector<float> scores(const Choice& choice) const override {
    const auto& sums = sums_[shared() ? 0 : static_cast<size_t>(choice.layer)];
    const auto& row = sums[sums.size() == 1 ? 0 : static_cast<size_t>(choice.group)];
    std::vector<float> scores;
    scores.reserve(choice.positions.size());
    for (const int64_t position : choice.positions) {
      const float sum = row[static_cast<size_t>(position)];
      scores.push_back(
          averages_observers() ? sum / static_cast<float>(choice.tokens_seen - position) : sum);
    }
    return scores;
  }

  std::vector<int64_t> choose(const Choice& choice) override {
    const std::vector<float> score = scores(choice);
    const Selection& selection = *start().selection;
    std::vector<int64_t> candidates;
    append_range(
        candidates, selection.protect(start().kept(choice.layer, choice.group)).sinks,
        static_cast<int64_t>(choice.positions.size()) - selection.protect(choice.budget).recent);
    std::stable_sort(candidates.begin(), candidates.end(), [&](int64_t a, int64_t b) {
      return score[static_cast<size_t>(a)] < score[static_cast<size_t>(b)];
    });
    candidates.resize(static_cast<size_t>(choice.count));
    return candidates;
  }

 private:
  bool averages_observers() const {
    return start().importance->accumulation() == Importance::Accumulation::kMeanOverObservers;
  }
  bool shared() const { return start().importance->granularity() == Granularity::kModel; }

  std::vector<std::vector<std::vector<float>>> sums_;  // [layer, or 1 if shared][G][position]
};

/// The unprotected entry with the least attention goes; scores keep accumulating with every new
/// token (H2O, arXiv 2306.14048, algorithm 1). What is protected follows the selection, so that H2O
/// keeps its recent half.
class LowestScoreGeneration final : public Generation {
 public:
  bool needs_rows() const override { return true; }
  bool accumulates() const override { return true; }
  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<LowestScorePolicy>(std::move(start));
  }
  std::string description() const override { return "lowest_score"; }
};

}  // namespace

std::shared_ptr<const Generation> make_lowest_score_generation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<LowestScoreGeneration>();
}

}  // namespace elastikv
