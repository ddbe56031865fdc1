#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/layer_plan.h"
#include "strategies/component.h"

namespace elastikv {

// What is wrong with plans, as the end of a sentence ("keeps slot 31 of 30"); an empty text where
// nothing is. For plans that a plugin makes: the cache takes what it is told.

/// Rows of slots of a set of `tokens`: not empty, ascending, unique and in range.
std::string problem_of_kept(const KeptSlots& kept, int64_t tokens);

/// The first protected entry that is not among `kept` (ascending) of `tokens`; none is missing:
/// absent. `protect` fits into as many slots as are kept.
std::optional<int64_t> dropped_protected(const std::vector<int64_t>& kept, Protected protect,
                                         int64_t tokens);

/// A plan for a layer of `tokens` slots in each of its groups, whose `kept` has to be defined.
std::string problem_of(const LayerPlan& plan, int64_t tokens);
/// The same of a plan that has to keep these slots.
std::string problem_of(const LayerPlan& plan, const KeptSlots& kept, int64_t tokens);

/// A plan for a layer of a cache, as it is after the new token's entry was added.
std::string problem_of(const StepPlan& plan, const KVCache& cache, int64_t layer);

}  // namespace elastikv
