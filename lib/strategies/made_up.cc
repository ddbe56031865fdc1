#include "strategies/made_up.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/xlogy.h>

namespace elastikv {

namespace {

/// (1 - a) times the sum over queries of a^age A.
at::Tensor moving_average(const at::Tensor& attention, double decay) {
  const int64_t tokens = attention.size(1);
  const at::Tensor age = at::arange(tokens - 1, -1, -1, at::kFloat);
  const at::Tensor weights = at::pow(at::full({tokens}, decay, at::kFloat), age);
  return (attention * weights.view({1, tokens, 1})).sum(1) * (1.0 - decay);
}

QueryMoments moments_without(const at::Tensor& queries, int64_t skip) {
  const int64_t tokens = queries.size(1);
  const int64_t skipped = tokens > skip ? skip : 0;
  const at::Tensor counted = queries.narrow(1, skipped, tokens - skipped);
  const at::Tensor mean = counted.mean(1, /*keepdim=*/true);
  const at::Tensor centred = counted - mean;
  return {.mean = mean.squeeze(1),
          .covariance =
              at::matmul(centred.transpose(1, 2), centred) / static_cast<double>(tokens - skipped)};
}

}  // namespace

LayerStatistics layer_with_attention(const at::Tensor& attention, const at::Tensor& queries,
                                     at::Tensor keys, at::Tensor values,
                                     const PrefillRequest& also) {
  LayerStatistics layer;
  layer.column_sums = attention.sum(1);
  layer.column_max = attention.amax(1);
  layer.row_entropy = -at::xlogy(attention, attention).sum(-1);
  layer.last_rows = attention;
  constexpr double kDecay = 0.9;
  layer.moving_averages[kDecay] = moving_average(attention, kDecay);
  for (const double decay : also.decays)
    layer.moving_averages[decay] = moving_average(attention, decay);
  constexpr int64_t kSkip = 4;
  layer.query_moments[kSkip] = moments_without(queries, kSkip);
  for (const int64_t skip : also.query_moments)
    layer.query_moments[skip] = moments_without(queries, skip);
  layer.keys = std::move(keys);
  layer.values = std::move(values);
  return layer;
}

PromptStatistics made_up_prompt(int64_t tokens, int64_t layers, int64_t query_heads,
                                int64_t kv_heads, uint64_t seed, const PrefillRequest& also) {
  constexpr int64_t kHeadDim = 8;
  at::Generator random = at::detail::createCPUGenerator(seed);
  const auto normal = [&](const std::vector<int64_t>& sizes) {
    return at::randn(sizes, random, at::kFloat);
  };
  PromptStatistics prompt{
      .prompt_tokens = tokens,
      .query_heads = query_heads,
      .kv_heads = kv_heads,
      .image_begin = tokens / 4,
      .image_end = tokens < 2 ? 0 : std::max(tokens / 2, tokens / 4 + 1),
      .seed = seed,
      .rotary_frequencies = at::pow(10.0, -at::arange(kHeadDim / 2, at::kDouble)),
      .layers = {}};
  const at::Tensor mask = at::ones({tokens, tokens}, at::kBool).triu(1);
  for (int64_t layer = 0; layer < layers; ++layer) {
    const at::Tensor queries = normal({query_heads, tokens, kHeadDim});
    const at::Tensor keys = normal({kv_heads, tokens, kHeadDim});
    at::Tensor logits =
        at::matmul(queries, keys.repeat_interleave(query_heads / kv_heads, 0).transpose(1, 2));
    logits = logits / (1.0 + static_cast<double>(layer)) +
             3.0 * normal({query_heads, 1, tokens}).gt(1.3);
    logits.select(2, 0).add_(2.0);
    prompt.layers.push_back(layer_with_attention(
        logits.masked_fill(mask, -std::numeric_limits<float>::infinity()).softmax(-1), queries,
        keys, normal({kv_heads, tokens, kHeadDim}), also));
  }
  return prompt;
}

KVCache made_up_cache(const PromptStatistics& prompt) {
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

void decode_step(KVCache& cache, GenerationPolicy* policy, const PromptStatistics& prompt,
                 int64_t tokens_seen, std::mt19937& random, std::vector<at::Tensor> rows) {
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
    const int64_t per_kv_head = prompt.query_heads / prompt.kv_heads;
    for (int64_t head = 0; head < prompt.query_heads; ++head) {
      const int64_t length = cache.head_lengths(layer)[static_cast<size_t>(head / per_kv_head)];
      row[head].narrow(0, length, row.size(1) - length).zero_();
    }
    rows.push_back(row);
  }
  if (policy == nullptr) return;
  const std::vector<StepPlan> plans =
      policy->step({.tokens_seen = tokens_seen, .cache = &cache, .rows = rows});
  for (size_t layer = 0; layer < plans.size(); ++layer) {
    cache.apply(static_cast<int64_t>(layer), plans[layer]);
  }
}

std::vector<int64_t> kept_slots(const LayerPlan& plan, int64_t group, int64_t tokens) {
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
