#pragma once

#include <vector>

#include "bench/config.h"
#include "bench/outcome.h"

namespace elastikv {

/// Checks a model's cells and works out what they need and what a decode step reads; allocates and
/// loads nothing. Error for a device that is not there, a checkpoint that cannot be loaded, a
/// context that is too short, a strategy that reads what a prompt without images has not, and,
/// unless it is only planned, for weights that do not fit the memory and for cells that do not,
/// where they may not be skipped.
BenchModelResult plan_model(const BenchConfig& config, const BenchModel& choice,
                            const std::vector<BenchCell>& cells, bool plan_only);

}  // namespace elastikv
