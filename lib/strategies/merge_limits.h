#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strategies/compaction.h"
#include "strategies/component.h"
#include "strategies/parameters.h"

namespace elastikv {

/// Which of the entries that a merge would bring together stay apart after all, so that it can be
/// asked where merging costs or gains. A source outside the limits is forgotten.
class MergeLimits {
 public:
  /// Reads
  ///   `first_layer` (0) and `last_layer` (-1: the model's last): other layers merge nothing;
  ///   `within` (0: any): the most positions between a source and its anchor;
  ///   `key_cosine` and `value_cosine` (-1: any): the least cosine of the two, of one KV head or
  ///     of all heads' side by side, as the kept entries are chosen.
  explicit MergeLimits(const Parameters& parameters);
  /// The parameters it reads, and `own`.
  static std::vector<std::string> names(std::vector<std::string> own);

  /// The keys and values that it compares.
  StatisticsRequest needs() const;
  /// `merges` of group `group` without what is outside the limits.
  Merges limited(const CompactionInput& input, size_t group, Merges merges) const;
  /// ",within=8" and the like; empty without limits.
  std::string description() const;

 private:
  int64_t first_layer_;
  int64_t last_layer_;
  int64_t within_;
  double key_cosine_;
  double value_cosine_;
};

}  // namespace elastikv
