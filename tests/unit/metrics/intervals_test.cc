#include "metrics/intervals.h"

#include <array>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "base/error.h"

namespace elastikv {
namespace {

// Expected values: tests/golden/make_interval_values.py (numpy, and mt19937_64 written in Python).
const std::vector<double> kA{0.2, 0.5, 0.1, 0.9, 0.4, 0.4, 0.7};
const std::vector<double> kB{0.1, 0.6, 0.05, 0.7, 0.45, 0.3, 0.5};
const std::vector<double> kNllA{12.5, 3.25, 40, 7.75, 22, 9.5, 15};
const std::vector<double> kNllB{14, 3.5, 38, 9, 25.5, 9.25, 17};
const std::vector<double> kTokens{10, 4, 25, 6, 12, 8, 9};
constexpr double kTolerance = 1e-12;

void expect_interval(const std::optional<Interval>& interval, double low, double high) {
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->low, low, kTolerance);
  EXPECT_NEAR(interval->high, high, kTolerance);
}

TEST(Intervals, MeanWithStandardError) {
  const MeanEstimate estimate = estimate_mean(kA);
  EXPECT_NEAR(estimate.mean, 0.4571428571428572, kTolerance);
  EXPECT_NEAR(estimate.standard_error.value(), 0.10432810619146021, kTolerance);
  EXPECT_EQ(estimate.samples, 7);
  expect_interval(estimate.interval(), 0.4571428571428572 - 1.96 * 0.10432810619146021,
                  0.4571428571428572 + 1.96 * 0.10432810619146021);
}

TEST(Intervals, LogPerplexityByTheDeltaMethod) {
  const LogPerplexityEstimate estimate = estimate_log_perplexity(kNllA, kTokens);
  EXPECT_NEAR(estimate.log_perplexity, 1.4864864864864864, kTolerance);
  EXPECT_NEAR(estimate.standard_error.value(), 0.1010782535963121, kTolerance);
  expect_interval(estimate.perplexity_interval(), 3.6268812145648885, 5.390293647730047);
}

TEST(Intervals, OneSampleHasNone) {
  const std::vector<double> one{0.5};
  EXPECT_FALSE(estimate_mean(one).standard_error.has_value());
  EXPECT_FALSE(estimate_mean(one).interval().has_value());
  EXPECT_FALSE(estimate_log_perplexity(one, one).perplexity_interval().has_value());
  const Bootstrap bootstrap;
  EXPECT_FALSE(bootstrap.mean_interval(one).has_value());
  EXPECT_FALSE(bootstrap.perplexity_interval(one, one).has_value());
  const PairedDifference difference = paired_mean_difference(one, one, bootstrap);
  EXPECT_EQ(difference.difference, 0);
  EXPECT_FALSE(difference.standard_error || difference.interval || difference.p_value);
}

TEST(Intervals, PercentileIsLinearBetweenNeighbours) {
  EXPECT_EQ(percentile({3, 1, 2, 4}, 0), 1);
  EXPECT_EQ(percentile({3, 1, 2, 4}, 1), 4);
  EXPECT_DOUBLE_EQ(percentile({3, 1, 2, 4}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(percentile({3, 1, 2, 4}, 0.025), 1.075);
  EXPECT_EQ(percentile({5}, 0.975), 5);
}

TEST(Bootstrap, DrawsTheDocumentedIndices) {
  // Columns that are 1 for one sample only count how often it was drawn.
  std::vector<std::vector<double>> columns(7, std::vector<double>(7, 0));
  std::vector<std::span<const double>> views;
  for (size_t c = 0; c < 7; ++c) {
    columns[c][c] = 1;
    views.emplace_back(columns[c]);
  }
  const auto sums = Bootstrap().resampled_sums(views);
  // Row 0 of the index matrix is 2 2 4 3 4 1 0, row 999 is 6 1 1 3 1 0 1.
  const std::array<double, 7> first{1, 1, 2, 1, 2, 0, 0};
  const std::array<double, 7> last{1, 4, 0, 1, 0, 0, 1};
  for (size_t c = 0; c < 7; ++c) {
    EXPECT_EQ(sums[c].size(), 1000U);
    EXPECT_EQ(sums[c].front(), first[c]) << c;
    EXPECT_EQ(sums[c].back(), last[c]) << c;
  }
}

TEST(Bootstrap, PercentileIntervals) {
  const Bootstrap bootstrap;
  expect_interval(bootstrap.mean_interval(kA), 0.2857142857142857, 0.6571428571428571);
  expect_interval(bootstrap.perplexity_interval(kNllA, kTokens), 3.4408632165381055,
                  5.1298459636658915);
}

TEST(Bootstrap, SeedAndReplicatesMatter) {
  EXPECT_NE(Bootstrap(1000, 1).perplexity_interval(kNllA, kTokens)->low,
            Bootstrap(1000, 2).perplexity_interval(kNllA, kTokens)->low);
  EXPECT_THROW(Bootstrap(0), InternalError);
}

TEST(Bootstrap, NearsTheNormalIntervalWithManySamples) {
  std::vector<double> values;
  for (int i = 0; i < 200; ++i) values.push_back(std::sin(i * 12.9898) * 3 + std::cos(i * 4.1));
  const MeanEstimate estimate = estimate_mean(values);
  const auto interval = Bootstrap(20000).mean_interval(values);
  EXPECT_NEAR(interval->low, estimate.interval()->low, 0.05 * *estimate.standard_error * 1.96);
  EXPECT_NEAR(interval->high, estimate.interval()->high, 0.05 * *estimate.standard_error * 1.96);
}

TEST(PairedDifference, OfMeans) {
  const PairedDifference difference = paired_mean_difference(kA, kB, Bootstrap());
  EXPECT_NEAR(difference.difference, 0.07142857142857144, kTolerance);
  EXPECT_NEAR(difference.standard_error.value(), 0.04344830378784442, kTolerance);
  expect_interval(difference.interval, 0, 0.15);
  EXPECT_NEAR(difference.p_value.value(), 0.07092907092907093, kTolerance);
  EXPECT_EQ(difference.samples, 7);
}

TEST(PairedDifference, OfLogPerplexities) {
  const PairedDifference difference =
      paired_log_perplexity_difference(kNllA, kNllB, kTokens, Bootstrap());
  EXPECT_NEAR(difference.difference, -0.08445945945945946, kTolerance);
  EXPECT_NEAR(difference.standard_error.value(), 0.07509739463031335, kTolerance);
  expect_interval(difference.interval, -0.2250173611111111, 0.0235976926574221);
  EXPECT_NEAR(difference.p_value.value(), 0.23376623376623376, kTolerance);
  // It is the difference of the two log perplexities.
  EXPECT_NEAR(difference.difference,
              estimate_log_perplexity(kNllA, kTokens).log_perplexity -
                  estimate_log_perplexity(kNllB, kTokens).log_perplexity,
              kTolerance);
}

TEST(PairedDifference, IsNarrowerThanTheStrategiesApart) {
  // Samples differ much, strategies always by the same: the paired interval has no width.
  std::vector<double> shifted(kA);
  for (double& value : shifted) value += 0.25;
  const PairedDifference difference = paired_mean_difference(shifted, kA, Bootstrap());
  EXPECT_NEAR(difference.interval->low, 0.25, kTolerance);
  EXPECT_NEAR(difference.interval->high, 0.25, kTolerance);
  EXPECT_NEAR(difference.p_value.value(), 1.0 / 1001, kTolerance);
}

TEST(PairedDifference, EqualStrategiesAreNotSignificant) {
  const PairedDifference difference = paired_mean_difference(kA, kA, Bootstrap());
  EXPECT_EQ(difference.difference, 0);
  EXPECT_EQ(difference.p_value.value(), 1);
}

TEST(PairedDifference, NeedsTheSameSamples) {
  EXPECT_THROW(paired_mean_difference(kA, std::vector<double>{1}, Bootstrap()), InternalError);
}

}  // namespace
}  // namespace elastikv
