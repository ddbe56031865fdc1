#include "strategies/merge_threshold_steps.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

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

/// An answer as indices into the anchors.
MostSimilar among_anchors(const NearestSlots& answer, const std::vector<int64_t>& by_position,
                          const std::vector<int64_t>& anchors) {
  MostSimilar nearest;
  nearest.cosine = answer.cosines;
  for (const int64_t slot : answer.slots) {
    const auto anchor = std::find_if(anchors.begin(), anchors.end(), [&](int64_t rank) {
      return by_position[static_cast<size_t>(rank)] == slot;
    });
    ELASTIKV_ASSERT(anchor != anchors.end(), "slot {} is no anchor", slot);
    nearest.target.push_back(anchor - anchors.begin());
  }
  return nearest;
}

MostSimilar compared(const StepCompactionInput& input, const std::vector<int64_t>& anchors) {
  const at::Tensor keys = input.groups == 1
                              ? group_keys(input.cache.keys(input.layer), 1, 0)
                              : input.cache.head_keys(input.layer, input.group).to(at::kFloat);
  return most_similar(rows_at(keys, slots_at(input.by_position, input.evicted)),
                      rows_at(keys, slots_at(input.by_position, anchors)));
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

std::vector<int64_t> ThresholdSteps::anchors_of(const StepCompactionInput& input) const {
  const auto length = static_cast<int64_t>(input.by_position.size());
  const std::vector<int64_t> stay = dropped_slots(input.evicted, length);
  const AnchorRange range = anchor_range(stay, length, input.protect, all_anchors_);
  if (range.empty()) return {};
  return {stay.begin() + range.first, stay.begin() + range.last};
}

std::optional<NearestQuestion> ThresholdSteps::ask(const StepCompactionInput& input) const {
  const std::vector<int64_t> anchors = anchors_of(input);
  if (anchors.empty()) return std::nullopt;
  NearestQuestion question;
  question.layer = input.layer;
  question.group = input.group;
  question.all_heads = input.groups == 1;
  question.sources = slots_at(input.by_position, input.evicted);
  question.excluded =
      slots_at(input.by_position, dropped_slots(anchors, std::ssize(input.by_position)));
  return question;
}

StepMerge ThresholdSteps::merge(const StepCompactionInput& input) {
  const std::vector<int64_t> anchors = anchors_of(input);
  if (anchors.empty()) return {};
  const MostSimilar nearest = input.nearest != nullptr
                                  ? among_anchors(*input.nearest, input.by_position, anchors)
                                  : compared(input, anchors);
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
