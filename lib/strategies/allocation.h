#pragma once

#include <cstdint>
#include <vector>

namespace elastikv {

/// Whole numbers that follow `wishes` (finite, not negative, in any unit) as closely as their sum
/// `total` and their range [least, most] allow: each is its wish times one common factor, clamped,
/// so that what one may not take goes to the others in proportion; fractions are given out by
/// largest remainder, of equal ones to the first. All wishes 0 count as equal ones.
/// least * n <= total <= most * n.
std::vector<int64_t> apportion(const std::vector<double>& wishes, int64_t total, int64_t least,
                               int64_t most);

}  // namespace elastikv
