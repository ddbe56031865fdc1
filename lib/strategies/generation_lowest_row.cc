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

class LowestRowPolicy final : public EvictionPolicy {
 public:
  LowestRowPolicy(GenerationStart start, bool before_text)
      : EvictionPolicy(std::move(start)), before_text_(before_text) {}

  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override {
    return going_on(*this, budget);
  }

 protected:
  void observe(const DecodeStep& step) override { step_ = &step; }

  std::vector<float> scores(const Choice& choice) const override {
    const PromptStatistics& prompt = start().prompt;
    const KVCache& cache = *step_->cache;
    const int64_t groups = cache.groups(choice.layer);
    const int64_t heads = prompt.query_heads / groups;
    ELASTIKV_ASSERT(!step_->rows.empty(), "attention rows are missing");
    const at::Tensor row = step_->rows[static_cast<size_t>(choice.layer)]
                               .narrow(0, choice.group * heads, heads)
                               .mean(0)
                               .contiguous();
    const float* attention = row.const_data_ptr<float>();
    std::vector<float> by_rank;
    for (const int64_t slot : slots_by_position(cache.positions(choice.layer, choice.group))) {
      by_rank.push_back(attention[slot]);
    }
    return by_rank;
  }

  std::vector<int64_t> choose(const Choice& choice) override {
    const std::vector<float> score = scores(choice);
    const Selection& selection = *start().selection;
    const int64_t sinks = selection.protect(start().kept(choice.layer, choice.group)).sinks;
    const auto length = static_cast<int64_t>(choice.positions.size());
    int64_t last = length - selection.protect(choice.budget).recent;
    if (before_text_) {
      const auto text = std::lower_bound(choice.positions.begin(), choice.positions.end(),
                                         start().prompt.image_end);
      const int64_t before = text - choice.positions.begin();
      // With the image used up, the answer has to pay for itself.
      if (before - sinks >= choice.count) last = before;
    }
    std::vector<int64_t> candidates;
    append_range(candidates, sinks, last);
    std::stable_sort(candidates.begin(), candidates.end(), [&](int64_t a, int64_t b) {
      return score[static_cast<size_t>(a)] < score[static_cast<size_t>(b)];
    });
    candidates.resize(static_cast<size_t>(choice.count));
    return candidates;
  }

 private:
  bool before_text_;
  const DecodeStep* step_ = nullptr;  // valid within a step
};

/// The unprotected entry to which the new token pays least goes (TOVA, arXiv 2401.06104), averaged
/// over the heads that share a cache. `among: before_text` leaves alone the text after the image
/// and what was generated since (TGV-KV, arXiv 2606.03075) while anything else is left.
class LowestRowGeneration final : public Generation {
 public:
  explicit LowestRowGeneration(bool before_text) : before_text_(before_text) {}

  bool needs_rows() const override { return true; }
  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<LowestRowPolicy>(std::move(start), before_text_);
  }
  std::string description() const override {
    return before_text_ ? "lowest_row(among=before_text)" : "lowest_row(among=all)";
  }

 private:
  bool before_text_;
};

}  // namespace

std::shared_ptr<const Generation> make_lowest_row_generation(const Parameters& parameters) {
  parameters.require_known({"among"});
  return std::make_shared<LowestRowGeneration>(
      parameters.choice("among", "all", {"all", "before_text"}) == "before_text");
}

}  // namespace elastikv
