#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "metrics/metric.h"
#include "metrics/metric_set.h"

namespace elastikv {

/// How far one generated sequence of token ids agrees with the one to compare with (as a rule the
/// full cache's own output).
struct Agreement {
  /// Length of the common prefix: the index of the first token that differs, or the shorter length
  /// when one sequence begins with the other.
  int64_t first_divergence = 0;
  /// Positions that hold the same token in both, over the longer sequence's length: tokens beyond
  /// the shorter one's end are mismatches, so stopping early or late costs. Nothing is realigned
  /// after an insertion. 1 for two empty sequences.
  double match_rate = 0;
  bool identical = false;
  int64_t matching_tokens = 0;
  int64_t reference_tokens = 0;
  int64_t candidate_tokens = 0;
};
Agreement compare_tokens(std::span<const int64_t> reference, std::span<const int64_t> candidate);

/// What metrics of agreement have in common.
MetricTraits agreement_traits(std::string name, std::string title, std::string label);

/// Adds the mean over samples of the member of Agreement that the metric is called after. Records
/// keep all of them under "agreement"; the full cache itself has none. `definition`: in the
/// signature.
void add_agreement_mean(MetricTraits traits, std::string definition, MetricSet& set);

}  // namespace elastikv
