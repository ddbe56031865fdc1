#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "metrics/intervals.h"

namespace elastikv {

/// Kendall's tau-b of two lists of numbers, of the same things in one order: over all pairs of
/// things, (pairs that both lists order alike - pairs that they order contrariwise) / sqrt(pairs
/// that the first orders * pairs that the second orders). 1: the same order, -1: the reverse.
/// Absent where one of them orders nothing. M. Kendall, "The treatment of ties in ranking
/// problems", 1945.
std::optional<double> kendall_tau_b(std::span<const double> a, std::span<const double> b);

/// What a measure says of one strategy, and of each resample of its samples. More is better.
struct ResampledScore {
  double score = 0;
  std::vector<double> resamples;  // [replicates]
};
/// Of the mean of values, or with weights (as many, above 0) of sum(values) / sum(weights). `units`
/// has the name of what a sample belongs to (an image, say): units are drawn as a whole, in the
/// order of their names, so that all measures over the same units are resampled alike.
ResampledScore resampled_score(std::span<const double> values, std::span<const double> weights,
                               std::span<const std::string> units, bool higher_is_better,
                               const Bootstrap& bootstrap);

/// The same strategies, in one order, by two measures. Not null; all with as many resamples.
struct TwoRankings {
  std::vector<const ResampledScore*> a;
  std::vector<const ResampledScore*> b;
};

/// Whether two measures order strategies alike.
struct RankCorrelation {
  double tau = 0;                    // mean of kendall_tau_b over the rankings that have one
  std::optional<Interval> interval;  // 95 %: percentiles over resamples
  int64_t rankings = 0;              // that have one
};
/// Over several rankings (of the budgets of a table, say). Absent where none has a tau. In a
/// resample, rankings that lose their tau are left out; with fewer than half of the resamples left
/// there is no interval. Resampling shuffles strategies that are near each other, so the interval
/// lies rather low: it is a cautious one of agreement.
std::optional<RankCorrelation> rank_correlation(std::span<const TwoRankings> rankings);

}  // namespace elastikv
