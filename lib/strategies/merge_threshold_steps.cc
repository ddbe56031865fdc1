#include "strategies/merge_threshold_steps.h"

#include <cmath>
#include <numeric>

namespace elastikv {
namespace {

std::vector<int64_t> slots_at(const std::vector<int64_t>& by_position,
                              const std::vector<int64_t>& ranks) {
  std::vector<int64_t> slots;
  slots.reserve(ranks.size());
  for (const int64_t rank : ranks) slots.push_back(by_position[static_cast<size_t>(rank)]);
  return slots;
}

std::vector<float> scores_at(const std::vector<float>& scores, const std::vector<int64_t>& ranks) {
  std::vector<float> picked;
  if (scores.empty()) return picked;
  picked.reserve(ranks.size());
  for (const int64_t rank : ranks) picked.push_back(scores[static_cast<size_t>(rank)]);
  return picked;
}

}  // namespace

float mean_cosine(const MostSimilar& nearest) {
  const double sum = std::accumulate(nearest.cosine.begin(), nearest.cosine.end(), 0.0);
  return static_cast<float>(sum / static_cast<double>(nearest.cosine.size()));
}

Merges similar_enough(const std::vector<int64_t>& sources, const MostSimilar& nearest,
                      float threshold) {
  Merges merges;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (nearest.cosine[i] < threshold) continue;
    merges.source.push_back(sources[i]);
    merges.anchor.push_back(nearest.target[i]);
    merges.weight.push_back(std::exp(nearest.cosine[i] - 1.0F));
  }
  return merges;
}

StepMerge ThresholdSteps::merge(const StepCompactionInput& input) {
  const auto length = static_cast<int64_t>(input.by_position.size());
  const std::vector<int64_t> stay = dropped_slots(input.evicted, length);
  const AnchorRange range = anchor_range(stay, length, input.protect, all_anchors_);
  if (range.empty()) return {};
  const std::vector<int64_t> anchors(stay.begin() + range.first, stay.begin() + range.last);
  const at::Tensor keys = input.groups == 1
                              ? group_keys(input.cache.keys(input.layer), 1, 0)
                              : input.cache.head_keys(input.layer, input.group).to(at::kFloat);
  const MostSimilar nearest =
      most_similar(rows_at(keys, slots_at(input.by_position, input.evicted)),
                   rows_at(keys, slots_at(input.by_position, anchors)));
  const float mean = mean_cosine(nearest);
  const auto [state, is_first] = thresholds_.try_emplace({input.layer, input.group}, mean);
  float& threshold = state->second;
  if (!is_first) threshold = decay_ * threshold + (1.0F - decay_) * mean;
  Merges merges = similar_enough(input.evicted, nearest, threshold);
  const MergeOptions::Weights weights =
      options_.weigh(merges, anchors.size(), scores_at(input.scores, merges.source),
                     scores_at(input.scores, anchors));
  StepMerge step{.source = std::move(merges.source),
                 .anchor = {},
                 .source_weight = weights.source,
                 .anchor_weight = {}};
  for (const int64_t anchor : merges.anchor) {
    step.anchor.push_back(anchors[static_cast<size_t>(anchor)]);
    step.anchor_weight.push_back(weights.anchor[static_cast<size_t>(anchor)]);
  }
  return step;
}

}  // namespace elastikv
