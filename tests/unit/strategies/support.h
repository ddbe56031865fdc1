#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "cache/kv_cache.h"
#include "strategies/strategy.h"

namespace elastikv {

/// Statistics of a layer of which only the column sums are known.
inline LayerStatistics layer_with_sums(at::Tensor sums) {
  LayerStatistics layer;
  layer.column_sums = std::move(sums);
  return layer;
}

/// Made-up statistics: layers x query_heads rows of positive column sums that fall with position,
/// as real ones do, with a few heavy hitters.
inline PromptStatistics made_up_prompt(int64_t tokens, int64_t layers = 3, int64_t query_heads = 4,
                                       int64_t kv_heads = 2, uint64_t seed = 1) {
  PromptStatistics prompt{.prompt_tokens = tokens,
                          .query_heads = query_heads,
                          .kv_heads = kv_heads,
                          .seed = seed,
                          .layers = {}};
  std::mt19937 random(static_cast<unsigned>(seed));
  std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
  for (int64_t layer = 0; layer < layers; ++layer) {
    at::Tensor sums = at::empty({query_heads, tokens}, at::kFloat);
    float* value = sums.data_ptr<float>();
    for (int64_t i = 0; i < query_heads * tokens; ++i) {
      const float observers = static_cast<float>(tokens - i % tokens);
      value[i] = observers * uniform(random) * (uniform(random) < 0.1F ? 10.0F : 1.0F);
    }
    prompt.layers.push_back(layer_with_sums(sums));
  }
  return prompt;
}

/// A cache in which keys and values of an entry say which token, head and layer it is.
inline KVCache made_up_cache(const PromptStatistics& prompt) {
  const auto layers = static_cast<int64_t>(prompt.layers.size());
  KVCache cache({.layers = layers, .kv_heads = prompt.kv_heads, .head_dim = 2});
  for (int64_t layer = 0; layer < layers; ++layer) {
    at::Tensor keys = at::empty({prompt.kv_heads, prompt.prompt_tokens, 2}, at::kFloat);
    float* value = keys.data_ptr<float>();
    for (int64_t i = 0; i < keys.numel(); ++i) {
      value[i] = static_cast<float>((i * 7919 + layer * 104729) % 1009);
    }
    cache.append(layer, keys, keys.neg(), /*first_position=*/0);
  }
  return cache;
}

/// One decode step: appends an entry to every layer and lets the policy decide. `rows`: what it
/// sees, empty for random attention.
inline void decode_step(KVCache& cache, GenerationPolicy* policy, const PromptStatistics& prompt,
                        int64_t tokens_seen, std::mt19937& random,
                        std::vector<at::Tensor> rows = {}) {
  const int64_t layers = cache.shape().layers;
  std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
  const bool draw = rows.empty();
  for (int64_t layer = 0; layer < layers; ++layer) {
    const at::Tensor entry =
        at::full({prompt.kv_heads, 1, 2}, static_cast<float>(tokens_seen), at::kFloat);
    cache.append(layer, entry, entry, tokens_seen - 1);
    if (!draw) continue;
    at::Tensor row = at::empty({prompt.query_heads, cache.max_length(layer)}, at::kFloat);
    for (int64_t i = 0; i < row.numel(); ++i) row.data_ptr<float>()[i] = uniform(random);
    rows.push_back(row);
  }
  if (policy == nullptr) return;
  const std::vector<StepPlan> plans =
      policy->step({.tokens_seen = tokens_seen, .cache = &cache, .rows = rows});
  for (size_t layer = 0; layer < plans.size(); ++layer) {
    cache.apply(static_cast<int64_t>(layer), plans[layer]);
  }
}

/// The slots that a plan keeps in one group, of a prompt of `tokens`.
inline std::vector<int64_t> kept_slots(const LayerPlan& plan, int64_t group, int64_t tokens) {
  std::vector<int64_t> kept;
  if (plan.keeps_everything()) {
    for (int64_t slot = 0; slot < tokens; ++slot) kept.push_back(slot);
    return kept;
  }
  const auto rows = plan.kept.accessor<int64_t, 2>();
  const int64_t row = plan.kept.size(0) == 1 ? 0 : group;
  for (int64_t i = 0; i < plan.kept.size(1) && rows[row][i] >= 0; ++i) kept.push_back(rows[row][i]);
  return kept;
}

}  // namespace elastikv
