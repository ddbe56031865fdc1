#include "metrics/intervals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "metrics/student_t.h"

namespace elastikv {
namespace {

/// A resample's standard error counts as at least this share of the observed one.
constexpr double kFloor = 0.25;
/// What rounding can make of a spread of 0, relative to the values.
constexpr double kRounding = 1e-13;

double sum_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
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

/// sum(values) / sum(weights) over units, and what its bootstrap adds up.
struct Ratio {
  Studentized estimate;
  std::vector<double> rest;         // values - r * weights
  std::vector<double> rest_rest;    // their squares; empty: nothing is resampled
  std::vector<double> rest_weight;  // empty where every weight is 1, as of a mean over samples
  std::vector<double> weights;

  bool resampled() const { return !rest_rest.empty(); }
  bool weighted() const { return !rest_weight.empty(); }
};

Ratio make_ratio(std::span<const double> values, std::vector<double> weights) {
  ELASTIKV_ASSERT(!values.empty() && values.size() == weights.size(), "{} values of {} weights",
                  values.size(), weights.size());
  const double total = sum_of(weights);
  Ratio ratio{.estimate = {.value = sum_of(values) / total,
                           .standard_error = std::nullopt,
                           .units = values.size(),
                           .pivots = {}},
              .rest = {},
              .rest_rest = {},
              .rest_weight = {},
              .weights = std::move(weights)};
  if (values.size() < 2) return ratio;
  ratio.rest = residuals(values, ratio.estimate.value, ratio.weights);
  const double error =
      small_sample_factor(values.size()) * std::sqrt(sum_of_squares(ratio.rest)) / total;
  ratio.estimate.standard_error = error;
  double size = 0;
  for (const double value : values) size += std::abs(value);
  if (error * total <= kRounding * size) return ratio;
  ratio.rest_rest = products(ratio.rest, ratio.rest);
  const bool weighted = std::any_of(ratio.weights.begin(), ratio.weights.end(),
                                    [](double weight) { return weight != 1; });
  if (weighted) ratio.rest_weight = products(ratio.rest, ratio.weights);
  return ratio;
}

/// From the sums of a ratio's columns over resampled units, in the order of add_columns.
void add_pivots(const std::vector<double>* sums, const Bootstrap& bootstrap, Ratio& ratio) {
  const std::vector<double>& rest = sums[0];
  const std::vector<double>& rest_rest = sums[1];
  // Where every weight is 1, most of the sums are known.
  const std::vector<double>& rest_weight = ratio.weighted() ? sums[2] : rest;
  const Bootstrap::WeightSums* weight_sums =
      ratio.weighted() ? &bootstrap.weight_sums(ratio.weights) : nullptr;
  const auto units = static_cast<double>(ratio.rest.size());
  const double factor = small_sample_factor(ratio.rest.size());
  const double error = *ratio.estimate.standard_error;
  std::vector<double>& pivots = ratio.estimate.pivots;
  pivots.resize(rest.size());
  for (size_t b = 0; b < pivots.size(); ++b) {
    const double weight = weight_sums != nullptr ? weight_sums->weight[b] : units;
    const double weight_weight = weight_sums != nullptr ? weight_sums->weight_weight[b] : units;
    const double shift = rest[b] / weight;
    const double squares =
        rest_rest[b] - 2 * shift * rest_weight[b] + shift * shift * weight_weight;
    const double own_error = factor * std::sqrt(std::max(squares, 0.0)) / weight;
    pivots[b] = shift / std::max(own_error, kFloor * error);
  }
}

void add_columns(const Ratio& ratio, std::vector<std::span<const double>>& columns) {
  columns.emplace_back(ratio.rest);
  columns.emplace_back(ratio.rest_rest);
  if (ratio.weighted()) columns.emplace_back(ratio.rest_weight);
}

/// Resamples ratios together, which costs far less than one by one.
void resample(std::span<Ratio> ratios, const Bootstrap& bootstrap) {
  for (size_t begin = 0; begin < ratios.size();) {
    // A run of ratios over as many units.
    size_t end = begin;
    const size_t units = ratios[begin].rest.size();
    std::vector<std::span<const double>> columns;
    for (; end < ratios.size() && ratios[end].rest.size() == units; ++end) {
      if (ratios[end].resampled()) add_columns(ratios[end], columns);
    }
    if (!columns.empty()) {
      const auto sums = bootstrap.resampled_sums(columns);
      size_t next = 0;
      for (Ratio& ratio : ratios.subspan(begin, end - begin)) {
        if (!ratio.resampled()) continue;
        add_pivots(&sums[next], bootstrap, ratio);
        next += ratio.weighted() ? 3 : 2;
      }
    }
    begin = end;
  }
}

/// sum(values) / sum(weights) over units, and the bootstrap of it when one is given.
Studentized studentized_ratio(std::span<const double> values, std::vector<double> weights,
                              const Bootstrap* bootstrap) {
  Ratio ratio = make_ratio(values, std::move(weights));
  if (bootstrap != nullptr) resample({&ratio, 1}, *bootstrap);
  return std::move(ratio.estimate);
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

/// Tables ask for the same one thousands of times.
double t_quantile_975(double freedom) {
  thread_local double known = 0;
  thread_local double quantile = 0;
  if (freedom != known) quantile = student_t_quantile(0.975, freedom);
  known = freedom;
  return quantile;
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
  const double normal = t_quantile_975(freedom);
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

MeanEstimate estimate_mean(std::span<const double> values, const Clusters& clusters) {
  const Studentized estimate = studentized_mean(values, clusters, nullptr);
  return {.mean = estimate.value,
          .standard_error = estimate.standard_error,
          .samples = static_cast<int64_t>(values.size()),
          .clusters = static_cast<int64_t>(estimate.units)};
}

double log_perplexity(std::span<const double> nll, std::span<const double> tokens,
                      const Clusters& clusters) {
  ELASTIKV_ASSERT(!nll.empty() && nll.size() == tokens.size(), "{} NLLs for {} token counts",
                  nll.size(), tokens.size());
  return sum_of(clusters.sums(nll)) / sum_of(clusters.sums(tokens));
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

std::vector<PairedDifference> paired_differences(std::span<const PairedValues> pairs,
                                                 const Bootstrap& bootstrap) {
  std::vector<Ratio> ratios;
  ratios.reserve(pairs.size());
  for (const PairedValues& pair : pairs) {
    ratios.push_back(make_ratio(pair.clusters.sums(differences(pair.a, pair.b)),
                                pair.weights.empty() ? cluster_sizes(pair.a.size(), pair.clusters)
                                                     : pair.clusters.sums(pair.weights)));
  }
  resample(ratios, bootstrap);
  std::vector<PairedDifference> result;
  for (size_t i = 0; i < pairs.size(); ++i)
    result.push_back(difference_of(ratios[i].estimate, pairs[i].a.size()));
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].right_or_wrong) result[i].mcnemar = mcnemar_p(pairs[i].a, pairs[i].b);
  }
  return result;
}

PairedDifference paired_mean_difference(std::span<const double> a, std::span<const double> b,
                                        const Bootstrap& bootstrap, const Clusters& clusters) {
  const PairedValues pair{{a.begin(), a.end()}, {b.begin(), b.end()}, {}, clusters};
  return paired_differences({&pair, 1}, bootstrap).front();
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
