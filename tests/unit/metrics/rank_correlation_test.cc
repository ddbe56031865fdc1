#include "metrics/rank_correlation.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace elastikv {
namespace {

TEST(KendallTauB, IsThePublishedOne) {
  // The example of scipy.stats.kendalltau's documentation (1.16).
  const std::vector<double> a{12, 2, 1, 12, 2};
  const std::vector<double> b{1, 4, 7, 1, 0};
  EXPECT_NEAR(*kendall_tau_b(a, b), -0.47140452079103173, 1e-15);
  EXPECT_NEAR(*kendall_tau_b(b, a), -0.47140452079103173, 1e-15);
}

TEST(KendallTauB, CountsPairs) {
  const std::vector<double> a{1, 2, 3, 4};
  const std::vector<double> swapped{1, 3, 2, 4};
  EXPECT_DOUBLE_EQ(*kendall_tau_b(a, swapped), (5.0 - 1.0) / 6.0);
  const std::vector<double> reversed{4, 3, 2, 1};
  EXPECT_DOUBLE_EQ(*kendall_tau_b(a, reversed), -1);
  const std::vector<double> constant{7, 7, 7, 7};
  EXPECT_FALSE(kendall_tau_b(a, constant));
  EXPECT_FALSE(kendall_tau_b({a.data(), 1}, {a.data(), 1}));
}

/// Strategies with random numbers of `samples` samples.
std::vector<std::vector<double>> random_values(size_t strategies, size_t samples) {
  std::mt19937_64 random(7);
  std::vector<std::vector<double>> values(strategies, std::vector<double>(samples));
  for (auto& of_strategy : values) {
    for (double& value : of_strategy) value = static_cast<double>(random() % 1000) / 1000.0;
  }
  return values;
}

TEST(ResampledScore, IsAMeanOverDrawnUnits) {
  const std::vector<double> values{1, 2, 4, 8};
  const std::vector<double> weights{1, 1, 2, 4};
  const std::vector<std::string> units{"b", "a", "b", "c"};
  const Bootstrap bootstrap(50, 3);
  const ResampledScore plain = resampled_score(values, {}, units, true, bootstrap);
  EXPECT_DOUBLE_EQ(plain.score, 15.0 / 4);
  const ResampledScore weighed = resampled_score(values, weights, units, false, bootstrap);
  EXPECT_DOUBLE_EQ(weighed.score, -15.0 / 8);
  // The same by hand: units in the order a, b, c, drawn as Bootstrap draws three.
  const std::vector<double> sums{2, 5, 8};
  const std::vector<double> counts{1, 2, 1};
  const std::vector<double> weight_sums{1, 3, 4};
  const std::array<std::span<const double>, 3> columns{sums, counts, weight_sums};
  const auto drawn = bootstrap.resampled_sums(columns);
  for (size_t i = 0; i < 50; ++i) {
    EXPECT_DOUBLE_EQ(plain.resamples[i], drawn[0][i] / drawn[1][i]);
    EXPECT_DOUBLE_EQ(weighed.resamples[i], -drawn[0][i] / drawn[2][i]);
  }
}

TEST(RankCorrelations, ResampleMeasuresOverTheSameUnitsAlike) {
  const auto values = random_values(5, 12);
  std::vector<std::string> units;
  for (size_t i = 0; i < 12; ++i) units.push_back("image" + std::to_string(i / 2));
  // The second measure says the same of the same samples, listed the other way round.
  std::vector<std::string> backwards(units.rbegin(), units.rend());
  const Bootstrap bootstrap(200, 1);
  const Bootstrap another(200, 2);
  std::vector<ResampledScore> a;
  std::vector<ResampledScore> b;
  std::vector<ResampledScore> apart;
  for (const auto& of_strategy : values) {
    const std::vector<double> turned(of_strategy.rbegin(), of_strategy.rend());
    a.push_back(resampled_score(of_strategy, {}, units, true, bootstrap));
    b.push_back(resampled_score(turned, {}, backwards, true, bootstrap));
    apart.push_back(resampled_score(turned, {}, backwards, true, another));
  }
  TwoRankings same;
  TwoRankings unpaired;
  for (size_t i = 0; i < values.size(); ++i) {
    same.a.push_back(&a[i]);
    same.b.push_back(&b[i]);
    unpaired.a.push_back(&a[i]);
    unpaired.b.push_back(&apart[i]);
  }
  const auto agreement = rank_correlation({&same, 1});
  ASSERT_TRUE(agreement && agreement->interval);
  EXPECT_DOUBLE_EQ(agreement->tau, 1);
  EXPECT_DOUBLE_EQ(agreement->interval->low, 1);
  EXPECT_DOUBLE_EQ(agreement->interval->high, 1);
  const auto looser = rank_correlation({&unpaired, 1});
  ASSERT_TRUE(looser && looser->interval);
  EXPECT_DOUBLE_EQ(looser->tau, 1);
  EXPECT_LT(looser->interval->low, 0.8);
}

TEST(RankCorrelations, AverageOverRankingsThatHaveAnOrder) {
  const auto score = [](double value) { return ResampledScore{value, {value, -value}}; };
  const std::vector<ResampledScore> up{score(1), score(2), score(3)};
  const std::vector<ResampledScore> mixed{score(2), score(1), score(3)};
  const std::vector<ResampledScore> level{score(5), score(5), score(5)};
  const auto pointers = [](const std::vector<ResampledScore>& scores) {
    std::vector<const ResampledScore*> result;
    for (const ResampledScore& one : scores) result.push_back(&one);
    return result;
  };
  const std::vector<TwoRankings> rankings{{pointers(up), pointers(up)},
                                          {pointers(up), pointers(mixed)},
                                          {pointers(up), pointers(level)}};
  const auto mean = rank_correlation(rankings);
  ASSERT_TRUE(mean);
  EXPECT_DOUBLE_EQ(mean->tau, (1 + 1.0 / 3) / 2);
  EXPECT_EQ(mean->rankings, 2);
  EXPECT_FALSE(rank_correlation({&rankings[2], 1}));
}

}  // namespace
}  // namespace elastikv
