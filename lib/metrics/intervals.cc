#include "metrics/intervals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "base/error.h"

namespace elastikv {
namespace {

/// 97.5 % point of the normal distribution.
constexpr double kNormal95 = 1.96;

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

Interval percentile_interval(const std::vector<double>& replicates) {
  return {percentile(replicates, 0.025), percentile(replicates, 0.975)};
}

std::vector<double> differences(std::span<const double> a, std::span<const double> b) {
  ELASTIKV_ASSERT(a.size() == b.size(), "{} and {} samples are not paired", a.size(), b.size());
  std::vector<double> result(a.size());
  std::transform(a.begin(), a.end(), b.begin(), result.begin(), std::minus<>());
  return result;
}

PairedDifference difference_of(double observed, std::optional<double> standard_error,
                               int64_t samples, const std::vector<double>& replicates) {
  PairedDifference result{.difference = observed,
                          .standard_error = standard_error,
                          .interval = std::nullopt,
                          .p_value = std::nullopt,
                          .samples = samples};
  if (samples < 2) return result;
  result.interval = percentile_interval(replicates);
  const auto count = static_cast<double>(replicates.size());
  const double centre = sum_of(replicates) / count;
  // Equal replicates must count as equal although their sums are rounded differently.
  const double threshold = std::abs(observed) * (1 - 1e-12);
  const auto beyond = std::count_if(replicates.begin(), replicates.end(), [&](double replicate) {
    return std::abs(replicate - centre) >= threshold;
  });
  result.p_value = (static_cast<double>(beyond) + 1) / (count + 1);
  return result;
}

/// [replicates] quotients of the resampled sums of two columns.
std::vector<double> resampled_ratios(const Bootstrap& bootstrap, std::span<const double> numerator,
                                     std::span<const double> denominator) {
  const std::array columns{numerator, denominator};
  std::vector<std::vector<double>> sums = bootstrap.resampled_sums(columns);
  std::transform(sums[0].begin(), sums[0].end(), sums[1].begin(), sums[0].begin(),
                 std::divides<>());
  return std::move(sums[0]);
}

std::vector<double> resampled_means(const Bootstrap& bootstrap, std::span<const double> values) {
  const std::array columns{values};
  std::vector<double> means = std::move(bootstrap.resampled_sums(columns)[0]);
  for (double& mean : means) mean /= static_cast<double>(values.size());
  return means;
}

}  // namespace

std::optional<Interval> MeanEstimate::interval() const { return around(mean, standard_error); }

MeanEstimate estimate_mean(std::span<const double> values) {
  ELASTIKV_ASSERT(!values.empty(), "a mean of no samples");
  const auto n = static_cast<double>(values.size());
  MeanEstimate result{.mean = sum_of(values) / n,
                      .standard_error = std::nullopt,
                      .samples = static_cast<int64_t>(values.size())};
  if (values.size() < 2) return result;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.standard_error = std::sqrt(squares / (n - 1) / n);
  return result;
}

std::optional<Interval> LogPerplexityEstimate::perplexity_interval() const {
  const auto log = around(log_perplexity, standard_error);
  if (!log) return std::nullopt;
  return Interval{std::exp(log->low), std::exp(log->high)};
}

LogPerplexityEstimate estimate_log_perplexity(std::span<const double> nll,
                                              std::span<const double> tokens) {
  ELASTIKV_ASSERT(!nll.empty() && nll.size() == tokens.size(), "{} NLLs for {} token counts",
                  nll.size(), tokens.size());
  const auto n = static_cast<double>(nll.size());
  const double all_tokens = sum_of(tokens);
  LogPerplexityEstimate result{.log_perplexity = sum_of(nll) / all_tokens,
                               .standard_error = std::nullopt,
                               .samples = static_cast<int64_t>(nll.size())};
  if (nll.size() < 2) return result;
  double squares = 0;
  for (size_t i = 0; i < nll.size(); ++i) {
    const double residual = nll[i] - result.log_perplexity * tokens[i];
    squares += residual * residual;
  }
  result.standard_error = std::sqrt(n / (n - 1) * squares) / all_tokens;
  return result;
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
  const size_t samples = columns.front().size();
  ELASTIKV_ASSERT(samples > 0 && samples < (uint64_t{1} << 32), "a bootstrap over {} samples",
                  samples);
  for (const auto& column : columns)
    ELASTIKV_ASSERT(column.size() == samples, "columns of {} and {} samples", column.size(),
                    samples);
  std::vector<std::vector<double>> sums(columns.size(),
                                        std::vector<double>(static_cast<size_t>(replicates_)));
  std::mt19937_64 random(seed_);
  for (size_t b = 0; b < static_cast<size_t>(replicates_); ++b) {
    for (size_t draw = 0; draw < samples; ++draw) {
      const uint64_t sample = index_below(samples, random());
      for (size_t c = 0; c < columns.size(); ++c) sums[c][b] += columns[c][sample];
    }
  }
  return sums;
}

std::optional<Interval> Bootstrap::mean_interval(std::span<const double> values) const {
  if (values.size() < 2) return std::nullopt;
  return percentile_interval(resampled_means(*this, values));
}

std::optional<Interval> Bootstrap::perplexity_interval(std::span<const double> nll,
                                                       std::span<const double> tokens) const {
  if (nll.size() < 2) return std::nullopt;
  // exp is monotone, but percentiles between two replicates are those of the perplexities.
  std::vector<double> replicates = resampled_ratios(*this, nll, tokens);
  for (double& replicate : replicates) replicate = std::exp(replicate);
  return percentile_interval(replicates);
}

PairedDifference paired_mean_difference(std::span<const double> a, std::span<const double> b,
                                        const Bootstrap& bootstrap) {
  const std::vector<double> each = differences(a, b);
  const MeanEstimate estimate = estimate_mean(each);
  return difference_of(estimate.mean, estimate.standard_error, estimate.samples,
                       resampled_means(bootstrap, each));
}

PairedDifference paired_log_perplexity_difference(std::span<const double> nll_a,
                                                  std::span<const double> nll_b,
                                                  std::span<const double> tokens,
                                                  const Bootstrap& bootstrap) {
  const std::vector<double> each = differences(nll_a, nll_b);
  const LogPerplexityEstimate estimate = estimate_log_perplexity(each, tokens);
  return difference_of(estimate.log_perplexity, estimate.standard_error, estimate.samples,
                       resampled_ratios(bootstrap, each, tokens));
}

}  // namespace elastikv
