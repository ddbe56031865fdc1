#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/compaction.h"
#include "strategies/components.h"
#include "strategies/random_stream.h"

namespace elastikv {
namespace {

/// What CaM decides for one group: entries that `stay` and that `go` are ascending, scores are by
/// entry. An entry that goes takes one draw, whatever becomes of it.
Merges draw_merges(const std::vector<int64_t>& stay, const std::vector<int64_t>& go,
                   const float* scores, int64_t window, RandomStream& stream) {
  Merges merges;
  for (const int64_t entry : go) {
    const float drawn = stream.uniform();
    const auto first = std::upper_bound(stay.begin(), stay.end(), entry);
    const auto count = std::min<int64_t>(window, stay.end() - first);
    float sum = 0.0F;
    for (int64_t i = 0; i < count; ++i) sum += scores[first[i]];
    // drawn < p, without dividing by a sum that may be 0.
    if (!(drawn * sum < scores[entry] * static_cast<float>(count))) continue;
    for (int64_t i = 0; i < count; ++i) {
      merges.source.push_back(entry);
      merges.anchor.push_back(first - stay.begin() + i);
      merges.weight.push_back(1.0F / static_cast<float>(count));
    }
  }
  return merges;
}

/// CaM's merging of values (Zhang et al., CaM: Cache Merging for Memory-efficient LLMs Inference,
/// ICML 2024). An entry that goes and the next m = `window` that stay have p = clamp(its score /
/// the mean of theirs, 0, 1). With probability p its value, divided by m, is added to each of
/// theirs; else it is forgotten. Keys stay as they are. At the end of the sequence m is the number
/// of entries that there are (the released code meets full windows only).
///
/// While generating, scores are the policy's; one that keeps none forgets what it evicts. Draws
/// come from the inverted seed, so that they have nothing to do with those of a random importance.
class MergeValuesCompaction final : public Compaction {
 public:
  explicit MergeValuesCompaction(int64_t window) : window_(window) {}

  bool needs_scores() const override { return true; }

  LayerPlan plan(const CompactionInput& input) const override {
    std::vector<Merges> merges;
    for (size_t g = 0; g < input.kept.size(); ++g) {
      const auto group = static_cast<int64_t>(g);
      const int64_t row = input.scores.size(0) == 1 ? 0 : group;
      RandomStream stream(~input.seed, input.layer_index, group);
      merges.push_back(draw_merges(input.kept[g], dropped_slots(input.kept[g], input.tokens),
                                   input.scores.const_data_ptr<float>() + row * input.tokens,
                                   window_, stream));
    }
    return merge_plan(input.kept, merges, step_plan_options());
  }

  LayerPlan step_plan_options() const override {
    LayerPlan options;
    options.rule = LayerPlan::Rule::kSum;
    options.merge_keys = false;
    return options;
  }

  std::unique_ptr<StepCompaction> begin(const GenerationStart& start) const override {
    return std::make_unique<Steps>(window_, start.prompt.seed);
  }

  std::string description() const override {
    return fmt::format("merge_values(window={})", window_);
  }

 private:
  class Steps final : public StepCompaction {
   public:
    Steps(int64_t window, uint64_t seed) : window_(window), seed_(seed) {}

    StepMerge merge(const StepCompactionInput& input) override {
      if (input.scores.empty()) return {};
      const std::vector<int64_t> stay =
          dropped_slots(input.evicted, static_cast<int64_t>(input.by_position.size()));
      // The prompt's draws end where these begin: another seed.
      const auto stream =
          streams_.try_emplace({input.layer, input.group}, ~seed_ - 1, input.layer, input.group);
      Merges merges =
          draw_merges(stay, input.evicted, input.scores.data(), window_, stream.first->second);
      for (int64_t& anchor : merges.anchor) anchor = stay[static_cast<size_t>(anchor)];
      const std::vector<float> ones(merges.source.size(), 1.0F);
      return {.source = std::move(merges.source),
              .anchor = std::move(merges.anchor),
              .source_weight = std::move(merges.weight),
              .anchor_weight = ones};
    }

    std::unique_ptr<StepCompaction> copy() const override { return std::make_unique<Steps>(*this); }

   private:
    int64_t window_;
    uint64_t seed_;
    std::map<std::pair<int64_t, int64_t>, RandomStream> streams_;  // by layer and group
  };

  int64_t window_;
};

}  // namespace

std::shared_ptr<const Compaction> make_merge_values_compaction(const Parameters& parameters) {
  parameters.require_known({"window"});
  return std::make_shared<MergeValuesCompaction>(parameters.integer("window", 32, /*least=*/1));
}

}  // namespace elastikv
