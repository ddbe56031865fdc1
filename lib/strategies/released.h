#pragma once

#include <cstdint>
#include <vector>

#include "strategies/component.h"

/// What the cache classes of github.com/liuzuyan/ElasticCache at 3138e03 share. They hold one set
/// of entries for all heads and order them by position; all lengths are layer 0's.
namespace elastikv {

/// f = int(length - seen * (1 - r)) with r the released command line's fraction removed: how many
/// entries the classes mean to forget. Positive only when there is something to do; computed in
/// double in the released order of operations, because truncation shows the last bit.
int64_t released_excess(int64_t length, int64_t tokens_seen, int64_t prompt_tokens,
                        const Budget& budget);

/// The classes' selection among the candidates first ... last - 1: candidate j stays when the j-th
/// *index* of the ascending sort, taken for a rank, exceeds `excess`. Nothing like the largest
/// scores unless these fall or rise with position.
std::vector<int64_t> argsort_as_rank(const float* scores, int64_t first, int64_t last,
                                     int64_t excess);

/// A plan for every layer that evicts the slot at one rank (index by position), or nothing when
/// the rank is -1.
std::vector<StepPlan> evict_rank(const KVCache& cache, int64_t layers, int64_t rank);

}  // namespace elastikv
