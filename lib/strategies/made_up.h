#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include <ATen/core/Tensor.h>

#include "cache/kv_cache.h"
#include "strategies/strategy.h"

namespace elastikv {

// Prompts and caches that no model made, for checks of strategies: everything that a strategy may
// read is there, and small.

/// Statistics of a layer from its whole attention matrix A [query_heads, tokens, tokens], the eager
/// way, with all rows, the decay 0.9 and moments without the first 4 tokens, and those that `also`
/// asks for. queries: f32 [query_heads, tokens, head_dim]; keys, values: f32 [kv_heads, tokens,
/// head_dim].
LayerStatistics layer_with_attention(const at::Tensor& attention, const at::Tensor& queries,
                                     at::Tensor keys, at::Tensor values,
                                     const PrefillRequest& also = {});

/// Made-up statistics of a prompt whose second quarter is an image: causal attention of random
/// queries and keys, with a sink and a few heavy hitters.
PromptStatistics made_up_prompt(int64_t tokens, int64_t layers = 3, int64_t query_heads = 4,
                                int64_t kv_heads = 2, uint64_t seed = 1,
                                const PrefillRequest& also = {});

/// A cache in which keys and values of an entry say which token, head and layer it is.
KVCache made_up_cache(const PromptStatistics& prompt);

/// One decode step: appends an entry to every layer and lets the policy decide. `rows`: what it
/// sees, empty for random attention.
void decode_step(KVCache& cache, GenerationPolicy* policy, const PromptStatistics& prompt,
                 int64_t tokens_seen, std::mt19937& random, std::vector<at::Tensor> rows = {});

/// The slots that a plan keeps in one group, of a prompt of `tokens`.
std::vector<int64_t> kept_slots(const LayerPlan& plan, int64_t group, int64_t tokens);

}  // namespace elastikv
