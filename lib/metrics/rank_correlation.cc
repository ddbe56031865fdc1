#include "metrics/rank_correlation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>

#include "base/error.h"

namespace elastikv {
namespace {

/// Sums over the samples of each unit, units in the order of their names.
std::vector<double> sums_by_unit(std::span<const double> values,
                                 std::span<const std::string> units) {
  std::map<std::string_view, double> sums;
  for (size_t i = 0; i < values.size(); ++i) sums[units[i]] += values[i];
  std::vector<double> result;
  for (const auto& [unit, sum] : sums) result.push_back(sum);
  return result;
}

/// Of one resample, or with `resample` absent of the samples themselves.
std::optional<double> mean_tau(std::span<const TwoRankings> rankings,
                               std::optional<size_t> resample, int64_t& counted) {
  double sum = 0;
  counted = 0;
  const auto numbers = [&](const std::vector<const ResampledScore*>& scores) {
    std::vector<double> result;
    for (const ResampledScore* score : scores)
      result.push_back(resample ? score->resamples[*resample] : score->score);
    return result;
  };
  for (const TwoRankings& ranking : rankings) {
    const std::optional<double> tau = kendall_tau_b(numbers(ranking.a), numbers(ranking.b));
    if (!tau) continue;
    sum += *tau;
    ++counted;
  }
  if (counted == 0) return std::nullopt;
  return sum / static_cast<double>(counted);
}

}  // namespace

std::optional<double> kendall_tau_b(std::span<const double> a, std::span<const double> b) {
  ELASTIKV_ASSERT(a.size() == b.size(), "rankings of {} and {} things", a.size(), b.size());
  int64_t balance = 0;
  int64_t ordered_by_a = 0;
  int64_t ordered_by_b = 0;
  const auto sign = [](double x, double y) { return (x > y) - (x < y); };
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = i + 1; j < a.size(); ++j) {
      const int of_a = sign(a[i], a[j]);
      const int of_b = sign(b[i], b[j]);
      balance += of_a * of_b;
      ordered_by_a += std::abs(of_a);
      ordered_by_b += std::abs(of_b);
    }
  }
  if (ordered_by_a == 0 || ordered_by_b == 0) return std::nullopt;
  return static_cast<double>(balance) /
         std::sqrt(static_cast<double>(ordered_by_a) * static_cast<double>(ordered_by_b));
}

ResampledScore resampled_score(std::span<const double> values, std::span<const double> weights,
                               std::span<const std::string> units, bool higher_is_better,
                               const Bootstrap& bootstrap) {
  ELASTIKV_ASSERT(!values.empty() && values.size() == units.size() &&
                      (weights.empty() || weights.size() == values.size()),
                  "{} values, {} weights and {} units", values.size(), weights.size(),
                  units.size());
  const std::vector<double> ones(weights.empty() ? values.size() : 0, 1.0);
  const std::vector<double> of_values = sums_by_unit(values, units);
  const std::vector<double> of_weights = sums_by_unit(weights.empty() ? ones : weights, units);
  const auto total = [](const std::vector<double>& all) {
    double sum = 0;
    for (const double one : all) sum += one;
    return sum;
  };
  const double sign = higher_is_better ? 1 : -1;
  const std::array<std::span<const double>, 2> columns{of_values, of_weights};
  std::vector<std::vector<double>> sums = bootstrap.resampled_sums(columns);
  std::transform(sums[0].begin(), sums[0].end(), sums[1].begin(), sums[0].begin(),
                 [sign](double value, double weight) { return sign * value / weight; });
  return {sign * total(of_values) / total(of_weights), std::move(sums[0])};
}

std::optional<RankCorrelation> rank_correlation(std::span<const TwoRankings> rankings) {
  RankCorrelation result;
  const std::optional<double> tau = mean_tau(rankings, std::nullopt, result.rankings);
  if (!tau) return std::nullopt;
  result.tau = *tau;
  size_t replicates = 0;
  for (const TwoRankings& ranking : rankings) {
    ELASTIKV_ASSERT(ranking.a.size() == ranking.b.size(), "rankings of {} and {} strategies",
                    ranking.a.size(), ranking.b.size());
    if (!ranking.a.empty()) replicates = ranking.a.front()->resamples.size();
  }
  std::vector<double> taus;
  for (size_t resample = 0; resample < replicates; ++resample) {
    int64_t counted = 0;
    if (const auto one = mean_tau(rankings, resample, counted)) taus.push_back(*one);
  }
  if (!taus.empty() && 2 * taus.size() >= replicates)
    result.interval = Interval{percentile(taus, 0.025), percentile(taus, 0.975)};
  return result;
}

}  // namespace elastikv
