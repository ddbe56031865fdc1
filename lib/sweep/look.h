#pragma once

#include <cstdint>
#include <vector>

#include "cache/kv_cache.h"
#include "datasets/sample.h"
#include "runtime/prompt_encoder.h"
#include "strategies/statistics.h"
#include "sweep/cell.h"
#include "text/prompt_tokens.h"

namespace elastikv {

/// What a detail says of the prompt itself: all but what the cells keep. The statistics must hold
/// column sums. An image whose tokens are no grid (tiles with separators between them) has its
/// span, and a grid of 0 x 0.
SampleDetail look_at_prompt(const PromptReader& reader, const Sample& sample,
                            const TokenizedPrompt& prompt, const PromptStatistics& statistics);

/// The positions that a cache holds, ascending, [layers][groups][kept]: one group where all KV
/// heads hold the same.
std::vector<std::vector<std::vector<int64_t>>> kept_positions(const KVCache& cache);

}  // namespace elastikv
