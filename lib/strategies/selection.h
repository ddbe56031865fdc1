#pragma once

#include <cstdint>
#include <vector>

#include "strategies/component.h"

namespace elastikv {

/// first, first + 1, ..., last - 1 appended to `slots`.
void append_range(std::vector<int64_t>& slots, int64_t first, int64_t last);

/// Fits the wished protection into `slots`: the last entry goes first (a model that cannot see the
/// token it continues from answers nothing sensible), then the sinks, then the rest of the recent
/// entries.
Protected fit_protection(int64_t sinks, int64_t recent, int64_t slots);

/// `count` slots of a row of scores [tokens]: the protected ones, and of the others those with the
/// largest scores (of equals the earlier), ascending. Those in [last_begin, last_end) come after
/// all others, whatever their scores.
std::vector<int64_t> best_slots(const float* scores, int64_t tokens, int64_t count,
                                Protected protect, int64_t last_begin = 0, int64_t last_end = 0);

}  // namespace elastikv
