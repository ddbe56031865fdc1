#pragma once

#include "strategies/component.h"

namespace elastikv {

/// Rows of different lengths as one int64 [G, longest], the shorter ones padded with -1.
at::Tensor padded_rows(const std::vector<std::vector<int64_t>>& rows);

/// The slots of 0 ... tokens - 1 that are not in `kept` (ascending).
std::vector<int64_t> dropped_slots(const std::vector<int64_t>& kept, int64_t tokens);

}  // namespace elastikv
