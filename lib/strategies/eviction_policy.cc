#include "strategies/eviction_policy.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace elastikv {

std::vector<int64_t> slots_by_position(const std::vector<int64_t>& positions) {
  std::vector<int64_t> slots(positions.size());
  std::iota(slots.begin(), slots.end(), 0);
  std::stable_sort(slots.begin(), slots.end(), [&positions](int64_t a, int64_t b) {
    return positions[static_cast<size_t>(a)] < positions[static_cast<size_t>(b)];
  });
  return slots;
}

EvictionPolicy::EvictionPolicy(GenerationStart start) : start_(std::move(start)) {}

std::vector<StepPlan> EvictionPolicy::step(const DecodeStep& step) {
  ELASTIKV_ASSERT(step.cache != nullptr, "a decode step without a cache");
  observe(step);
  const KVCache& cache = *step.cache;
  const PromptStatistics& prompt = start_.prompt;
  const auto layers = static_cast<int64_t>(prompt.layers.size());
  const std::vector<int64_t> budgets = start_.allocation->slots_per_layer(
      prompt, start_.budget.slots(step.tokens_seen, prompt.prompt_tokens), step.tokens_seen);

  std::vector<StepPlan> plans(static_cast<size_t>(layers));
  bool anything = false;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const int64_t budget = budgets[static_cast<size_t>(layer)];
    if (cache.max_length(layer) <= budget) continue;
    const int64_t separate = groups(cache, layer);
    auto& give_up = plans[static_cast<size_t>(layer)].give_up;
    give_up.resize(static_cast<size_t>(separate));
    for (int64_t group = 0; group < separate; ++group) {
      const auto& positions = cache.positions(layer, cache.groups(layer) == 1 ? 0 : group);
      const int64_t count = static_cast<int64_t>(positions.size()) - budget;
      if (count <= 0) continue;
      const std::vector<int64_t> slots = slots_by_position(positions);
      std::vector<int64_t> ascending;
      ascending.reserve(slots.size());
      for (const int64_t slot : slots) ascending.push_back(positions[static_cast<size_t>(slot)]);
      std::vector<int64_t>& given_up = give_up[static_cast<size_t>(group)];
      for (const int64_t rank : choose({.layer = layer,
                                .group = group,
                                .count = count,
                                .budget = budget,
                                .tokens_seen = step.tokens_seen,
                                .positions = ascending})) {
        given_up.push_back(slots[static_cast<size_t>(rank)]);
      }
      // From the back, so that the last entry, which moves into a freed slot, is never one that
      // goes too.
      std::sort(given_up.begin(), given_up.end(), std::greater<>());
      anything = true;
    }
  }
  if (!anything) plans.clear();
  return plans;
}

}  // namespace elastikv
