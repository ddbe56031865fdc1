#pragma once

#include <cstdint>
#include <vector>

#include "strategies/component.h"

namespace elastikv {

/// Whole numbers that follow `wishes` (finite, not negative, in any unit) as closely as their sum
/// `total` and their range [least, most] allow: each is its wish times one common factor, clamped,
/// so that what one may not take goes to the others in proportion; fractions are given out by
/// largest remainder, of equal ones to the first. All wishes 0 count as equal ones.
/// least * n <= total <= most * n.
std::vector<int64_t> apportion(const std::vector<double>& wishes, int64_t total, int64_t least,
                               int64_t most);

/// An allocation that says in which proportion layers should share the slots.
class ProportionalAllocation : public Allocation {
 public:
  std::vector<int64_t> slots_per_layer(const PromptStatistics& prompt, int64_t total) const final;

 private:
  /// What each layer would get if slots could be divided: finite, not negative, in any unit.
  virtual std::vector<double> wishes(const PromptStatistics& prompt, int64_t total) const = 0;
};

}  // namespace elastikv
