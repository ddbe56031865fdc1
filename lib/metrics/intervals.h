#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace elastikv {

struct Interval {
  double low = 0;
  double high = 0;
};

/// Uncertainty of results over samples. The unit is always the sample (an image with its answer),
/// never the token: tokens of one answer stand or fall together, so counting them as independent
/// makes intervals far too narrow. Of a single sample nothing is known about the spread: everything
/// that needs one is then absent, never 0.

/// Mean over samples with its standard error, sd / sqrt(n) with sd over n - 1.
struct MeanEstimate {
  double mean = 0;
  std::optional<double> standard_error;  ///< absent for one sample
  int64_t samples = 0;

  /// mean +- 1.96 standard errors.
  std::optional<Interval> interval() const;
};
/// `values` holds one finite value per sample, at least one.
MeanEstimate estimate_mean(std::span<const double> values);

/// The logarithm r = sum(nll) / sum(tokens) of a micro-averaged perplexity, with the standard error
/// of a ratio over samples (delta method): sqrt(n / (n - 1) * sum((nll_i - r tokens_i)^2)) /
/// sum(tokens).
struct LogPerplexityEstimate {
  double log_perplexity = 0;
  std::optional<double> standard_error;  ///< absent for one sample
  int64_t samples = 0;

  /// Of the perplexity: exp(r +- 1.96 standard errors).
  std::optional<Interval> perplexity_interval() const;
};
/// One entry per sample in both: NLL summed over the sample's tokens (nats, finite), and its number
/// of tokens, all above 0. With differences nll_a - nll_b of two strategies over the same tokens as
/// `nll`, this is the log of the ratio of their perplexities, paired.
LogPerplexityEstimate estimate_log_perplexity(std::span<const double> nll,
                                              std::span<const double> tokens);

/// A value at `share` (0..1) of the way through the sorted values, linear between neighbours
/// (numpy's default). `values` is not empty and need not be sorted.
double percentile(std::vector<double> values, double share);

/// Random numbers that are the same on every machine and with every standard library: mt19937_64
/// (its output is fixed by the C++ standard, its distributions are not) started with the seed, and
/// an index below n as the upper half of the 128-bit product of a draw and n. No draw is rejected;
/// the bias is below n / 2^64.
class Bootstrap final {
 public:
  static constexpr int64_t kDefaultReplicates = 1000;
  static constexpr uint64_t kDefaultSeed = 12345;

  /// `replicates` is at least 1.
  explicit Bootstrap(int64_t replicates = kDefaultReplicates, uint64_t seed = kDefaultSeed);

  /// Sums over resampled samples: result[c][b] is the sum of columns[c] over the samples drawn,
  /// with replacement, for replicate b. All columns have one value per sample and are drawn
  /// together. The matrix of indices, [replicates, samples] filled row by row, depends on the seed
  /// and the two sizes alone, so every strategy over the same samples is resampled alike and
  /// differences between strategies are paired. It is drawn anew rather than stored.
  std::vector<std::vector<double>> resampled_sums(
      std::span<const std::span<const double>> columns) const;

  /// 95 % percentile intervals; absent for fewer than two samples.
  std::optional<Interval> mean_interval(std::span<const double> values) const;
  /// Of the micro-averaged perplexity exp(sum(nll) / sum(tokens)).
  std::optional<Interval> perplexity_interval(std::span<const double> nll,
                                              std::span<const double> tokens) const;

  int64_t replicates() const { return replicates_; }
  uint64_t seed() const { return seed_; }

 private:
  int64_t replicates_;
  uint64_t seed_;
};

/// How far a is from b on the same samples.
struct PairedDifference {
  double difference = 0;  ///< a - b
  std::optional<double> standard_error;
  std::optional<Interval> interval;  ///< 95 %, percentile bootstrap over samples
  /// Two-sided p-value of "no difference": (k + 1) / (replicates + 1), k the replicates whose
  /// difference lies at least |difference| from the mean of the replicates.
  std::optional<double> p_value;
  int64_t samples = 0;
};
/// Of the means of two strategies; one value per sample in both, in the same order.
PairedDifference paired_mean_difference(std::span<const double> a, std::span<const double> b,
                                        const Bootstrap& bootstrap);
/// Of the logarithms of two micro-averaged perplexities over the same tokens; exp of it and of its
/// interval is the ratio of the perplexities.
PairedDifference paired_log_perplexity_difference(std::span<const double> nll_a,
                                                  std::span<const double> nll_b,
                                                  std::span<const double> tokens,
                                                  const Bootstrap& bootstrap);

}  // namespace elastikv
