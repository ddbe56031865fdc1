#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace elastikv {

/// A sample of one model and data set, as ranks take it (SharedWork), and what it takes.
struct PlannedUnit {
  size_t model = 0;
  double seconds = 0;
};

/// Seconds until the last of so many ranks is done, when they take the units as SharedWork hands
/// them out and each has a device of its own. Models are there as soon as they are needed.
double planned_seconds(std::span<const PlannedUnit> units, int64_t ranks);

}  // namespace elastikv
