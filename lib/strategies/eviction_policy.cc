#include "strategies/eviction_policy.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include <ATen/ops/ones.h>

#include "base/error.h"
#include "strategies/compaction.h"

namespace elastikv {

std::vector<int64_t> slots_by_position(const std::vector<int64_t>& positions) {
  std::vector<int64_t> slots(positions.size());
  std::iota(slots.begin(), slots.end(), 0);
  std::stable_sort(slots.begin(), slots.end(), [&positions](int64_t a, int64_t b) {
    return positions[static_cast<size_t>(a)] < positions[static_cast<size_t>(b)];
  });
  return slots;
}

/// What one set of slots gives up.
struct EvictionPolicy::GivenUp {
  std::vector<int64_t> by_position;  // slots
  std::vector<int64_t> ranks;        // ascending
  Protected protect;
  std::vector<float> scores;
};

EvictionPolicy::EvictionPolicy(GenerationStart start) : start_(std::move(start)) {
  if (start_.compaction != nullptr) compaction_ = start_.compaction->begin(start_);
}

std::vector<float> EvictionPolicy::scores(const Choice& /*choice*/) const { return {}; }

std::vector<StepPlan> EvictionPolicy::step(const DecodeStep& step) {
  ELASTIKV_ASSERT(step.cache != nullptr, "a decode step without a cache");
  observe(step);
  const KVCache& cache = *step.cache;
  const auto layers = static_cast<int64_t>(start_.prompt.layers.size());
  std::vector<StepPlan> plans(static_cast<size_t>(layers));
  bool anything = false;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const int64_t separate = groups(cache, layer);
    std::vector<GivenUp> given_up(static_cast<size_t>(separate));
    bool over = false;
    for (int64_t group = 0; group < separate; ++group) {
      const auto& positions = cache.positions(layer, cache.groups(layer) == 1 ? 0 : group);
      const int64_t budget = start_.slots(layer, group, step.tokens_seen);
      const int64_t count = static_cast<int64_t>(positions.size()) - budget;
      GivenUp& here = given_up[static_cast<size_t>(group)];
      if (count <= 0 && compaction_ == nullptr) continue;
      here.by_position = slots_by_position(positions);
      if (count <= 0) continue;
      std::vector<int64_t> ascending;
      ascending.reserve(here.by_position.size());
      for (const int64_t slot : here.by_position) {
        ascending.push_back(positions[static_cast<size_t>(slot)]);
      }
      const Choice choice{.layer = layer,
                          .group = group,
                          .count = count,
                          .budget = budget,
                          .tokens_seen = step.tokens_seen,
                          .positions = ascending};
      here.ranks = choose(choice);
      std::sort(here.ranks.begin(), here.ranks.end());
      over = true;
      if (compaction_ == nullptr) continue;
      here.scores = scores(choice);
      here.protect = {start_.selection->protect(start_.kept(layer, group)).sinks,
                      start_.selection->protect(budget).recent};
    }
    if (!over) continue;
    anything = true;
    StepPlan& plan = plans[static_cast<size_t>(layer)];
    if (compaction_ != nullptr) {
      plan.rebuild = merged(cache, layer, given_up);
      continue;
    }
    for (const GivenUp& here : given_up) {
      auto& slots = plan.give_up.emplace_back();
      slots.reserve(here.ranks.size());
      for (const int64_t rank : here.ranks) {
        slots.push_back(here.by_position[static_cast<size_t>(rank)]);
      }
      // From the back, so that the last entry, which moves into a freed slot, is never one that
      // goes too.
      std::sort(slots.begin(), slots.end(), std::greater<>());
    }
  }
  if (!anything) plans.clear();
  return plans;
}

LayerPlan EvictionPolicy::merged(const KVCache& cache, int64_t layer,
                                 const std::vector<GivenUp>& groups) {
  KeptSlots kept(groups.size());
  std::vector<Merges> merges(groups.size());
  std::vector<std::vector<float>> anchor_weights(groups.size());  // by index into kept
  for (size_t g = 0; g < groups.size(); ++g) {
    const GivenUp& here = groups[g];
    std::vector<int64_t> index(here.by_position.size());  // rank -> index into kept
    for (size_t rank = 0; rank < here.by_position.size(); ++rank) {
      index[rank] = static_cast<int64_t>(kept[g].size());
      if (!std::binary_search(here.ranks.begin(), here.ranks.end(), static_cast<int64_t>(rank))) {
        kept[g].push_back(here.by_position[rank]);
      }
    }
    anchor_weights[g].assign(kept[g].size(), 1.0F);
    if (here.ranks.empty()) continue;
    StepMerge step = compaction_->merge({.cache = cache,
                                         .layer = layer,
                                         .group = static_cast<int64_t>(g),
                                         .groups = static_cast<int64_t>(groups.size()),
                                         .by_position = here.by_position,
                                         .given_up = here.ranks,
                                         .protect = here.protect,
                                         .scores = here.scores});
    for (size_t i = 0; i < step.source.size(); ++i) {
      const int64_t anchor = index[static_cast<size_t>(step.anchor[i])];
      merges[g].source.push_back(here.by_position[static_cast<size_t>(step.source[i])]);
      merges[g].anchor.push_back(anchor);
      anchor_weights[g][static_cast<size_t>(anchor)] = step.anchor_weight[i];
    }
    merges[g].weight = std::move(step.source_weight);
  }
  LayerPlan plan = merge_plan(kept, merges, start_.compaction->step_plan_options());
  if (!plan.source.defined()) return plan;
  plan.anchor_weight = at::ones(plan.kept.sizes(), at::kFloat);
  float* weight = plan.anchor_weight.data_ptr<float>();
  for (const std::vector<float>& of_group : anchor_weights) {
    std::copy(of_group.begin(), of_group.end(), weight);
    weight += plan.kept.size(1);
  }
  return plan;
}

}  // namespace elastikv
