#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "metrics/intervals.h"
#include "report/measures.h"
#include "report/summary.h"

namespace elastikv {

/// a - b of two cells of a group.
struct CellPair {
  const CellSummary* a = nullptr;
  const CellSummary* b = nullptr;
};

/// The paired differences of a group's cells. Several tables show the same ones: each is made once,
/// and those that are asked for together are resampled together. Not for several threads at once.
class CellDifferences final {
 public:
  explicit CellDifferences(Bootstrap bootstrap) : bootstrap_(std::move(bootstrap)) {}

  /// One per pair; absent where one of the two has no values. The cells outlive this object and do
  /// not change.
  std::vector<std::optional<PairedDifference>> of(const Measure& measure,
                                                  std::span<const CellPair> pairs);

  const Bootstrap& bootstrap() const { return bootstrap_; }

 private:
  /// A measure's place and the pair.
  using Key = std::tuple<size_t, const CellSummary*, const CellSummary*>;

  Bootstrap bootstrap_;
  std::map<Key, std::optional<PairedDifference>> made_;
};

}  // namespace elastikv
