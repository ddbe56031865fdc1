#include "metrics/intervals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "base/error.h"
#include "metrics/student_t.h"

namespace elastikv {
namespace {

/// 97.5 % point of the normal distribution.
constexpr double kNormal95 = 1.96;
/// A resample's standard error counts as at least this share of the observed one.
constexpr double kFloor = 0.25;
/// What rounding can make of a spread of 0, relative to the values.
constexpr double kRounding = 1e-13;

double sum_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

std::optional<Interval> around(double centre, std::optional<double> standard_error) {
  if (!standard_error) return std::nullopt;
  return Interval{centre - kNormal95 * *standard_error, centre + kNormal95 * *standard_error};
}

/// The upper 64 bits of draw * bound, for a bound below 2^32.
uint64_t index_below(uint64_t bound, uint64_t draw) {
  const uint64_t high = draw >> 32;
  const uint64_t low = draw & 0xFFFFFFFFU;
  return (high * bound + (low * bound >> 32)) >> 32;
}

/// Replicates that are summed up side by side.
constexpr size_t kBlock = 8;
/// Counts that are kept for the next columns rather than drawn again: 64 MiB.
constexpr size_t kMostKeptCounts = size_t{1} << 26;

/// How often each unit is drawn in each replicate of a block: counts[unit * kBlock + replicate].
void draw_block(std::mt19937_64& random, size_t replicates, size_t units, uint8_t* counts) {
  std::fill_n(counts, units * kBlock, uint8_t{0});
  for (size_t b = 0; b < replicates; ++b) {
    for (size_t i = 0; i < units; ++i) {
      uint8_t& count = counts[index_below(units, random()) * kBlock + b];
      ELASTIKV_ASSERT(count < 255, "a unit drawn {} times of {} draws", count, units);
      ++count;
    }
  }
}

/// As wide as every processor's vectors are. A unit after the other is added, so that the sums are
/// the same to the last bit everywhere.
using Pair [[gnu::vector_size(2 * sizeof(double))]] = double;

/// Adds up `Width` columns over a block's draws; times[unit * kBlock + replicate]. The sums go to
/// sums[c] from `begin` on, as far as they reach.
template <size_t Width>
void add_up_columns(const std::vector<double>& times, const std::span<const double>* columns,
                    std::vector<double>* sums, size_t begin) {
  constexpr size_t kPairs = kBlock / 2;
  Pair totals[Width][kPairs] = {};  // in registers, but for the widest
  const size_t units = columns[0].size();
  for (size_t i = 0; i < units; ++i) {
    for (size_t p = 0; p < kPairs; ++p) {
      Pair drawn;
      std::memcpy(&drawn, &times[i * kBlock + 2 * p], sizeof drawn);
      for (size_t c = 0; c < Width; ++c) totals[c][p] += drawn * columns[c][i];
    }
  }
  for (size_t c = 0; c < Width; ++c) {
    const size_t count = std::min(kBlock, sums[c].size() - begin);
    std::memcpy(&sums[c][begin], totals[c], count * sizeof(double));
  }
}

/// The same for any number of columns.
void add_up(const uint8_t* counts, std::span<const std::span<const double>> columns,
            std::vector<std::vector<double>>& sums, size_t begin, std::vector<double>& times) {
  times.assign(counts, counts + columns.front().size() * kBlock);
  size_t first = 0;
  for (; first + 4 <= columns.size(); first += 4)
    add_up_columns<4>(times, &columns[first], &sums[first], begin);
  if (first + 3 == columns.size()) {
    add_up_columns<3>(times, &columns[first], &sums[first], begin);
    return;
  }
  for (; first + 2 <= columns.size(); first += 2)
    add_up_columns<2>(times, &columns[first], &sums[first], begin);
  if (first < columns.size()) add_up_columns<1>(times, &columns[first], &sums[first], begin);
}

std::vector<double> differences(std::span<const double> a, std::span<const double> b) {
  ELASTIKV_ASSERT(a.size() == b.size(), "{} and {} samples are not paired", a.size(), b.size());
  std::vector<double> result(a.size());
  std::transform(a.begin(), a.end(), b.begin(), result.begin(), std::minus<>());
  return result;
}

std::vector<double> products(std::span<const double> a, std::span<const double> b) {
  std::vector<double> result(a.size());
  std::transform(a.begin(), a.end(), b.begin(), result.begin(), std::multiplies<>());
  return result;
}

/// value - r * weight, unit by unit.
std::vector<double> residuals(std::span<const double> values, double r,
                              std::span<const double> weights) {
  std::vector<double> result(values.size());
  for (size_t i = 0; i < values.size(); ++i) result[i] = values[i] - r * weights[i];
  return result;
}

double sum_of_squares(std::span<const double> values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return squares;
}

/// sqrt(n / (n - 1)) for n units.
double small_sample_factor(size_t units) {
  const auto n = static_cast<double>(units);
  return std::sqrt(n / (n - 1));
}

/// An estimate with what the bootstrap needs of it.
struct Studentized {
  double value = 0;
  std::optional<double> standard_error;  // absent for one unit
  size_t units = 0;
  /// [replicates] (r* - r) / max(s*, s / 4); empty without a standard error or a spread.
  std::vector<double> pivots;
};

/// Sums over resampled units, [replicates] each: of the residuals, the weights and their products.
struct PivotSums {
  std::vector<double> rest;
  std::vector<double> weight;
  std::vector<double> rest_rest;
  std::vector<double> rest_weight;
  std::vector<double> weight_weight;
};

PivotSums pivot_sums(const std::vector<double>& rest, std::span<const double> weights,
                     const Bootstrap& bootstrap) {
  const std::vector<double> rest_rest = products(rest, rest);
  // Of a mean over samples every weight is 1, and most of the sums are known.
  if (std::all_of(weights.begin(), weights.end(), [](double weight) { return weight == 1; })) {
    const std::array<std::span<const double>, 2> columns{rest, rest_rest};
    auto sums = bootstrap.resampled_sums(columns);
    const std::vector<double> counts(sums[0].size(), static_cast<double>(rest.size()));
    return {sums[0], counts, std::move(sums[1]), sums[0], counts};
  }
  const std::vector<double> rest_weight = products(rest, weights);
  const std::array<std::span<const double>, 3> columns{rest, rest_rest, rest_weight};
  auto sums = bootstrap.resampled_sums(columns);
  const Bootstrap::WeightSums& weight_sums = bootstrap.weight_sums(weights);
  return {std::move(sums[0]), weight_sums.weight, std::move(sums[1]), std::move(sums[2]),
          weight_sums.weight_weight};
}

/// sum(values) / sum(weights) over units, and the bootstrap of it when one is given.
Studentized studentized_ratio(std::span<const double> values, std::span<const double> weights,
                              const Bootstrap* bootstrap) {
  ELASTIKV_ASSERT(!values.empty() && values.size() == weights.size(), "{} values of {} weights",
                  values.size(), weights.size());
  Studentized result{.value = sum_of(values) / sum_of(weights),
                     .standard_error = std::nullopt,
                     .units = values.size(),
                     .pivots = {}};
  if (values.size() < 2) return result;
  const double factor = small_sample_factor(values.size());
  const std::vector<double> rest = residuals(values, result.value, weights);
  const double total = sum_of(weights);
  const double error = factor * std::sqrt(sum_of_squares(rest)) / total;
  result.standard_error = error;
  double size = 0;
  for (const double value : values) size += std::abs(value);
  if (bootstrap == nullptr || error * total <= kRounding * size) return result;

  const PivotSums sums = pivot_sums(rest, weights, *bootstrap);
  result.pivots.resize(sums.rest.size());
  for (size_t b = 0; b < result.pivots.size(); ++b) {
    const double shift = sums.rest[b] / sums.weight[b];
    const double squares =
        sums.rest_rest[b] - 2 * shift * sums.rest_weight[b] + shift * shift * sums.weight_weight[b];
    const double own_error = factor * std::sqrt(std::max(squares, 0.0)) / sums.weight[b];
    result.pivots[b] = shift / std::max(own_error, kFloor * error);
  }
  return result;
}

std::optional<Interval> interval_of(const Studentized& estimate, const Bounds& bounds = {}) {
  if (!estimate.standard_error) return std::nullopt;
  Interval interval{estimate.value, estimate.value};
  if (!estimate.pivots.empty()) {
    interval.low -= percentile(estimate.pivots, 0.975) * *estimate.standard_error;
    interval.high -= percentile(estimate.pivots, 0.025) * *estimate.standard_error;
  }
  return Interval{std::max(interval.low, bounds.low), std::min(interval.high, bounds.high)};
}

/// See PairedDifference::p_value.
std::optional<double> p_value_of(const Studentized& estimate) {
  if (!estimate.standard_error) return std::nullopt;
  if (estimate.value == 0) return 1;
  const auto freedom = static_cast<double>(estimate.units - 1);
  if (estimate.pivots.empty()) return std::pow(2, -freedom);
  const double t = std::abs(estimate.value / *estimate.standard_error);
  const double critical =
      estimate.value > 0 ? percentile(estimate.pivots, 0.975) : -percentile(estimate.pivots, 0.025);
  const double normal = student_t_quantile(0.975, freedom);
  // The bound only matters for a handful of lopsided samples, whose resamples hardly ever stray to
  // one side.
  const double stretch = normal / std::max(critical, kFloor * normal);
  return std::min(1.0, 2 * student_t_cdf(-t * stretch, freedom));
}

PairedDifference difference_of(const Studentized& estimate, size_t samples) {
  return {.difference = estimate.value,
          .standard_error = estimate.standard_error,
          .interval = interval_of(estimate),
          .p_value = p_value_of(estimate),
          .samples = static_cast<int64_t>(samples)};
}

/// How many samples each cluster has: the weights of a mean.
std::vector<double> cluster_sizes(size_t samples, const Clusters& clusters) {
  return clusters.sums(std::vector<double>(samples, 1.0));
}

Studentized studentized_mean(std::span<const double> values, const Clusters& clusters,
                             const Bootstrap* bootstrap) {
  return studentized_ratio(clusters.sums(values), cluster_sizes(values.size(), clusters),
                           bootstrap);
}

}  // namespace

std::optional<Interval> MeanEstimate::interval() const { return around(mean, standard_error); }

MeanEstimate estimate_mean(std::span<const double> values, const Clusters& clusters) {
  const Studentized estimate = studentized_mean(values, clusters, nullptr);
  return {.mean = estimate.value,
          .standard_error = estimate.standard_error,
          .samples = static_cast<int64_t>(values.size()),
          .clusters = static_cast<int64_t>(estimate.units)};
}

std::optional<Interval> LogPerplexityEstimate::perplexity_interval() const {
  const std::optional<Interval> log = around(log_perplexity, standard_error);
  if (!log) return std::nullopt;
  return Interval{std::exp(log->low), std::exp(log->high)};
}

LogPerplexityEstimate estimate_log_perplexity(std::span<const double> nll,
                                              std::span<const double> tokens,
                                              const Clusters& clusters) {
  ELASTIKV_ASSERT(!nll.empty() && nll.size() == tokens.size(), "{} NLLs for {} token counts",
                  nll.size(), tokens.size());
  const Studentized estimate =
      studentized_ratio(clusters.sums(nll), clusters.sums(tokens), nullptr);
  return {.log_perplexity = estimate.value,
          .standard_error = estimate.standard_error,
          .samples = static_cast<int64_t>(nll.size())};
}

double percentile(std::vector<double> values, double share) {
  ELASTIKV_ASSERT(!values.empty() && share >= 0 && share <= 1, "percentile {} of {} values", share,
                  values.size());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), at, values.end());
  if (below + 1 == values.size()) return *at;
  const double next = *std::min_element(at + 1, values.end());
  return *at + (next - *at) * (place - static_cast<double>(below));
}

Bootstrap::Bootstrap(int64_t replicates, uint64_t seed) : replicates_(replicates), seed_(seed) {
  ELASTIKV_ASSERT(replicates >= 1, "a bootstrap of {} replicates", replicates);
}

std::vector<std::vector<double>> Bootstrap::resampled_sums(
    std::span<const std::span<const double>> columns) const {
  const size_t units = columns.front().size();
  ELASTIKV_ASSERT(units > 0 && units < (uint64_t{1} << 32), "a bootstrap over {} units", units);
  for (const auto& column : columns)
    ELASTIKV_ASSERT(column.size() == units, "columns of {} and {} units", column.size(), units);
  const auto replicates = static_cast<size_t>(replicates_);
  std::vector<std::vector<double>> sums(columns.size(), std::vector<double>(replicates));
  const size_t blocks = (replicates + kBlock - 1) / kBlock;
  const size_t block_size = units * kBlock;
  const bool keep = blocks * block_size <= kMostKeptCounts;
  const bool kept = keep && kept_units_ == units;
  if (!kept) {
    kept_counts_.resize(keep ? blocks * block_size : block_size);
    kept_units_ = keep ? units : 0;
  }
  std::mt19937_64 random(seed_);
  std::vector<double> times;
  for (size_t block = 0; block < blocks; ++block) {
    const size_t begin = block * kBlock;
    uint8_t* counts = &kept_counts_[keep ? block * block_size : 0];
    if (!kept) draw_block(random, std::min(kBlock, replicates - begin), units, counts);
    add_up(counts, columns, sums, begin, times);
  }
  return sums;
}

const Bootstrap::WeightSums& Bootstrap::weight_sums(std::span<const double> weights) const {
  if (!std::equal(weights.begin(), weights.end(), weights_.begin(), weights_.end())) {
    weights_.assign(weights.begin(), weights.end());
    const std::vector<double> squares = products(weights, weights);
    const std::array<std::span<const double>, 2> columns{weights, squares};
    auto sums = resampled_sums(columns);
    weight_sums_ = {std::move(sums[0]), std::move(sums[1])};
  }
  return weight_sums_;
}

std::optional<Interval> Bootstrap::mean_interval(std::span<const double> values,
                                                 const Clusters& clusters,
                                                 const Bounds& bounds) const {
  return interval_of(studentized_mean(values, clusters, this), bounds);
}

std::optional<Interval> Bootstrap::perplexity_interval(std::span<const double> nll,
                                                       std::span<const double> tokens,
                                                       const Clusters& clusters) const {
  const std::optional<Interval> log =
      interval_of(studentized_ratio(clusters.sums(nll), clusters.sums(tokens), this), {.low = 0});
  if (!log) return std::nullopt;
  return Interval{std::exp(log->low), std::exp(log->high)};
}

PairedDifference paired_mean_difference(std::span<const double> a, std::span<const double> b,
                                        const Bootstrap& bootstrap, const Clusters& clusters) {
  return difference_of(studentized_mean(differences(a, b), clusters, &bootstrap), a.size());
}

PairedDifference paired_log_perplexity_difference(std::span<const double> nll_a,
                                                  std::span<const double> nll_b,
                                                  std::span<const double> tokens,
                                                  const Bootstrap& bootstrap,
                                                  const Clusters& clusters) {
  return difference_of(studentized_ratio(clusters.sums(differences(nll_a, nll_b)),
                                         clusters.sums(tokens), &bootstrap),
                       nll_a.size());
}

PairedDifference paired_perplexity_difference(std::span<const double> nll_a,
                                              std::span<const double> nll_b,
                                              std::span<const double> tokens,
                                              const Bootstrap& bootstrap,
                                              const Clusters& clusters) {
  ELASTIKV_ASSERT(nll_a.size() == nll_b.size() && nll_a.size() == tokens.size(),
                  "{} and {} samples are not paired", nll_a.size(), nll_b.size());
  const std::vector<double> a = clusters.sums(nll_a);
  const std::vector<double> b = clusters.sums(nll_b);
  const std::vector<double> weights = clusters.sums(tokens);
  const double total = sum_of(weights);
  const double log_a = sum_of(a) / total;
  const double log_b = sum_of(b) / total;
  const double ppl_a = std::exp(log_a);
  const double ppl_b = std::exp(log_b);
  Studentized result{.value = ppl_a - ppl_b,
                     .standard_error = std::nullopt,
                     .units = weights.size(),
                     .pivots = {}};
  if (weights.size() < 2 || !std::isfinite(ppl_a) || !std::isfinite(ppl_b))
    return difference_of(result, tokens.size());
  const double factor = small_sample_factor(weights.size());
  const std::vector<double> rest_a = residuals(a, log_a, weights);
  const std::vector<double> rest_b = residuals(b, log_b, weights);
  // The perplexities' derivatives by their logarithms are the perplexities themselves.
  double squares = 0;
  double size = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double rest = ppl_a * rest_a[i] - ppl_b * rest_b[i];
    squares += rest * rest;
    size += std::abs(ppl_a * a[i]) + std::abs(ppl_b * b[i]);
  }
  const double error = factor * std::sqrt(squares) / total;
  result.standard_error = error;
  if (error * total <= kRounding * size) return difference_of(result, tokens.size());

  const std::vector<double> aa = products(rest_a, rest_a);
  const std::vector<double> ab = products(rest_a, rest_b);
  const std::vector<double> bb = products(rest_b, rest_b);
  const std::vector<double> aw = products(rest_a, weights);
  const std::vector<double> bw = products(rest_b, weights);
  const std::vector<double> ww = products(weights, weights);
  const std::array<std::span<const double>, 9> columns{rest_a, rest_b, weights, aa, ab,
                                                       bb,     aw,     bw,      ww};
  const auto sums = bootstrap.resampled_sums(columns);
  result.pivots.resize(sums[0].size());
  for (size_t i = 0; i < result.pivots.size(); ++i) {
    const double shift_a = sums[0][i] / sums[2][i];
    const double shift_b = sums[1][i] / sums[2][i];
    const double own_a = std::exp(log_a + shift_a);
    const double own_b = std::exp(log_b + shift_b);
    // Squares of own_a (rest_a - shift_a w) - own_b (rest_b - shift_b w), summed.
    const double shift = own_a * shift_a - own_b * shift_b;
    const double own_squares =
        own_a * own_a * sums[3][i] - 2 * own_a * own_b * sums[4][i] + own_b * own_b * sums[5][i] -
        2 * shift * (own_a * sums[6][i] - own_b * sums[7][i]) + shift * shift * sums[8][i];
    const double own_error = factor * std::sqrt(std::max(own_squares, 0.0)) / sums[2][i];
    result.pivots[i] = (own_a - own_b - result.value) / std::max(own_error, kFloor * error);
    if (std::isfinite(result.pivots[i])) continue;
    // A resampled perplexity is beyond what a double holds: nothing can be said of the spread.
    result.standard_error.reset();
    break;
  }
  return difference_of(result, tokens.size());
}

std::vector<double> holm_adjusted(std::span<const double> p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double greatest = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    const auto left = static_cast<double>(order.size() - k);
    greatest = std::max(greatest, std::min(1.0, left * p_values[order[k]]));
    adjusted[order[k]] = greatest;
  }
  return adjusted;
}

}  // namespace elastikv
