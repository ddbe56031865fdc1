#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "metrics/clusters.h"

namespace elastikv {

struct Interval {
  double low = 0;
  double high = 0;
};

/// The values that a quantity can take at all; intervals end there.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

/// Uncertainty of results over samples. The unit is the cluster of samples (Clusters: as a rule one
/// sample, an image with its answer), never the token: tokens of one answer stand or fall together,
/// so counting them as independent makes intervals far too narrow. Of a single cluster nothing is
/// known about the spread: everything that needs one is then absent, never 0.

/// Mean over samples with its standard error: sd / sqrt(n) with sd over n - 1, and with n
/// clusters that of the ratio r = sum(values) / samples (delta method): sqrt(n / (n - 1) *
/// sum((values_i - r samples_i)^2)) / samples, values_i and samples_i summed over a cluster.
struct MeanEstimate {
  double mean = 0;
  std::optional<double> standard_error;  ///< absent for one cluster
  int64_t samples = 0;
  int64_t clusters = 0;
};
/// `values` holds one finite value per sample, at least one.
MeanEstimate estimate_mean(std::span<const double> values, const Clusters& clusters = {});

/// The logarithm sum(nll) / sum(tokens) of a micro-averaged perplexity. One entry per sample in
/// both: NLL summed over the sample's tokens (nats, finite), and its number of tokens, all above 0.
double log_perplexity(std::span<const double> nll, std::span<const double> tokens,
                      const Clusters& clusters = {});

/// A value at `share` (0..1) of the way through the sorted values, linear between neighbours
/// (numpy's default). `values` is not empty and need not be sorted.
double percentile(std::vector<double> values, double share);

/// Random numbers that are the same on every machine and with every standard library: mt19937_64
/// (its output is fixed by the C++ standard, its distributions are not) started with the seed, and
/// an index below n as the upper half of the 128-bit product of a draw and n. No draw is rejected;
/// the bias is below n / 2^64.
///
/// Intervals are bootstrap-t (studentized) ones: with the estimate r, its standard error s over
/// clusters, and r* and s* of a resample, (r* - r) / max(s*, s / 4) is drawn, and with its 2.5 %
/// and 97.5 % points a and b the interval is [r - b s, r - a s]. Of few, skewed samples it holds
/// the truth far more often than the percentiles of r* do (docs/reports.md has a table). The floor
/// of a quarter keeps resamples that draw nearly equal values (of a metric that is 1 for most
/// samples) from making it endless. All are 95 % intervals.
class Bootstrap final {
 public:
  static constexpr int64_t kDefaultReplicates = 1000;
  static constexpr uint64_t kDefaultSeed = 12345;

  /// `replicates` is at least 1.
  explicit Bootstrap(int64_t replicates = kDefaultReplicates, uint64_t seed = kDefaultSeed);

  /// Sums over resampled units: result[c][b] is the sum of columns[c] over the units drawn, with
  /// replacement, for replicate b. All columns have one value per unit and are drawn together. The
  /// matrix of indices, [replicates, units] filled row by row, depends on the seed and the two
  /// sizes alone, so every strategy over the same samples is resampled alike and differences
  /// between strategies are paired. How often each unit is drawn is kept for the next columns of as
  /// many units, unless that takes too much: an object is not for several threads at once.
  std::vector<std::vector<double>> resampled_sums(
      std::span<const std::span<const double>> columns) const;

  /// Resampled sums of weights and of their squares, [replicates] each.
  struct WeightSums {
    std::vector<double> weight;
    std::vector<double> weight_weight;
  };
  /// Those of the last weights are kept: the strategies of a table are weighed alike.
  const WeightSums& weight_sums(std::span<const double> weights) const;

  /// Absent for fewer than two clusters.
  std::optional<Interval> mean_interval(std::span<const double> values,
                                        const Clusters& clusters = {},
                                        const Bounds& bounds = {}) const;
  /// Of the micro-averaged perplexity exp(sum(nll) / sum(tokens)): exp of the interval of its
  /// logarithm, which is at least 0.
  std::optional<Interval> perplexity_interval(std::span<const double> nll,
                                              std::span<const double> tokens,
                                              const Clusters& clusters = {}) const;

  int64_t replicates() const { return replicates_; }
  uint64_t seed() const { return seed_; }

 private:
  int64_t replicates_;
  uint64_t seed_;
  mutable std::vector<uint8_t> kept_counts_;  // of kept_units_ units: see resampling.cc
  mutable size_t kept_units_ = 0;
  mutable std::vector<double> weights_;
  mutable WeightSums weight_sums_;
};

/// How far a is from b on the same samples.
struct PairedDifference {
  double difference = 0;  ///< a - b
  std::optional<double> standard_error;
  std::optional<Interval> interval;  ///< 95 %, bootstrap-t over clusters
  /// Two-sided p-value of "no difference" that agrees with the interval: Student's t with n - 1
  /// degrees of freedom (n clusters), stretched so that its 97.5 % point is the bootstrap's on the
  /// side that decides. It is below 0.05 where the interval excludes 0, and unlike a count of
  /// replicates it has no least value, which a correction for many comparisons would run into.
  /// Where all clusters differ by the same: 2^(1 - n), the share of sign patterns.
  std::optional<double> p_value;
  int64_t samples = 0;
  /// McNemar's exact p (mcnemar_p) where the values are right or wrong. It takes samples for
  /// independent, clusters or not.
  std::optional<double> mcnemar = {};
};
/// What a paired difference is made of: one value per sample of both, in the same order.
struct PairedValues {
  std::vector<double> a;
  std::vector<double> b;
  /// Empty: the difference of the means. Otherwise, above 0, that of sum(a) and sum(b) over
  /// sum(weights): with NLL and numbers of tokens, of the logarithms of two perplexities.
  std::vector<double> weights;
  Clusters clusters;
  bool right_or_wrong = false;  // every value is 1 or 0
};
/// Of many pairs together: each as alone to the last bit, and several times as fast as one by one
/// where they are over as many clusters.
std::vector<PairedDifference> paired_differences(std::span<const PairedValues> pairs,
                                                 const Bootstrap& bootstrap);
/// Of the means of two strategies; one value per sample in both, in the same order.
PairedDifference paired_mean_difference(std::span<const double> a, std::span<const double> b,
                                        const Bootstrap& bootstrap, const Clusters& clusters = {});
/// Of two micro-averaged perplexities themselves, as papers state them; the standard error is the
/// delta method's.
PairedDifference paired_perplexity_difference(std::span<const double> nll_a,
                                              std::span<const double> nll_b,
                                              std::span<const double> tokens,
                                              const Bootstrap& bootstrap,
                                              const Clusters& clusters = {});

/// Two-sided p-value of "each is right alone equally often", exact: of the n samples of which
/// exactly one of a and b is right (1, not 0), how many are a's is binomial with n and 1/2, and p
/// is twice the smaller tail with what was observed, at most 1; 1 for n = 0. Q. McNemar, "Note on
/// the sampling error of the difference between correlated proportions or percentages", 1947.
double mcnemar_p(std::span<const double> a, std::span<const double> b);

/// Holm's step-down adjustment of p-values that are looked at together: the k-th smallest of m
/// becomes the greatest of (m - j + 1) p_j over j <= k, at most 1. In the order given. S. Holm, "A
/// simple sequentially rejective multiple test procedure", 1979.
std::vector<double> holm_adjusted(std::span<const double> p_values);

}  // namespace elastikv
