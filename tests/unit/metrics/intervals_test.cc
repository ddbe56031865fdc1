#include "metrics/intervals.h"

#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "metrics/clusters.h"
#include "metrics/student_t.h"

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

/// Of one pair alone.
PairedDifference paired_difference(const PairedValues& pair, const Bootstrap& bootstrap) {
  return paired_differences({&pair, 1}, bootstrap).front();
}

TEST(Intervals, MeanWithStandardError) {
  const MeanEstimate estimate = estimate_mean(kA);
  EXPECT_NEAR(estimate.mean, 0.4571428571428572, kTolerance);
  EXPECT_NEAR(estimate.standard_error.value(), 0.10432810619146021, kTolerance);
  EXPECT_EQ(estimate.samples, 7);
}

TEST(Intervals, LogPerplexityIsThatOfAllTokens) {
  EXPECT_NEAR(log_perplexity(kNllA, kTokens), 1.4864864864864864, kTolerance);
  EXPECT_THROW(log_perplexity(kNllA, std::vector<double>{1}), InternalError);
}

TEST(Intervals, OneSampleHasNone) {
  const std::vector<double> one{0.5};
  EXPECT_FALSE(estimate_mean(one).standard_error.has_value());
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

/// The documented indices, drawn and added up one by one.
std::vector<std::vector<double>> sums_one_by_one(const std::vector<std::vector<double>>& columns,
                                                 size_t replicates, uint64_t seed) {
  const size_t units = columns[0].size();
  std::mt19937_64 random(seed);
  std::vector<std::vector<double>> sums(columns.size(), std::vector<double>(replicates));
  for (size_t b = 0; b < replicates; ++b) {
    for (size_t i = 0; i < units; ++i) {
      const auto wide = static_cast<unsigned __int128>(random()) * units;
      const auto index = static_cast<size_t>(wide >> 64);
      for (size_t c = 0; c < columns.size(); ++c) sums[c][b] += columns[c][index];
    }
  }
  return sums;
}

TEST(Bootstrap, SumsAreThoseOfTheDrawnUnits) {
  // Whole numbers add up without rounding, in whatever order.
  std::mt19937_64 random(3);
  for (const auto& [units, width, replicates] :
       {std::tuple{1, 1, 1}, std::tuple{5, 2, 9}, std::tuple{300, 3, 16}, std::tuple{17, 5, 1000},
        std::tuple{64, 9, 23}, std::tuple{70000, 1, 1001}}) {
    std::vector<std::vector<double>> columns(static_cast<size_t>(width));
    std::vector<std::span<const double>> views;
    for (std::vector<double>& column : columns) {
      for (int i = 0; i < units; ++i) column.push_back(static_cast<double>(random() % 2001) - 1000);
      views.emplace_back(column);
    }
    const Bootstrap bootstrap(replicates, /*seed=*/5);
    const auto expected = sums_one_by_one(columns, static_cast<size_t>(replicates), 5);
    EXPECT_EQ(bootstrap.resampled_sums(views), expected) << units << ", " << width;
    // What was kept of the first call serves the next.
    EXPECT_EQ(bootstrap.resampled_sums(views), expected) << units << ", " << width;
  }
}

TEST(Bootstrap, WeightsThatWereKeptAreNotTakenForOthers) {
  const Bootstrap bootstrap;
  const std::vector<double> other{3, 1, 4, 1, 5, 9, 2};
  const auto first = bootstrap.perplexity_interval(kNllA, kTokens);
  const auto between = bootstrap.perplexity_interval(kNllA, other);
  const auto again = bootstrap.perplexity_interval(kNllA, kTokens);
  expect_interval(again, first->low, first->high);
  const auto alone = Bootstrap().perplexity_interval(kNllA, other);
  expect_interval(between, alone->low, alone->high);
}

TEST(Bootstrap, StudentizedIntervals) {
  const Bootstrap bootstrap;
  expect_interval(bootstrap.mean_interval(kA), 0.21862580320333833, 0.7768176730202947);
  expect_interval(bootstrap.perplexity_interval(kNllA, kTokens), 3.363819814056325,
                  5.823664697254422);
}

TEST(Bootstrap, IntervalsEndWhereValuesDo) {
  const std::vector<double> shares{0.9, 0, 0, 0.1, 0, 0.2, 0};
  const auto free = Bootstrap().mean_interval(shares);
  const auto bounded = Bootstrap().mean_interval(shares, {}, {0, 1});
  EXPECT_LT(free->low, 0);
  EXPECT_EQ(bounded->low, 0);
  EXPECT_EQ(bounded->high, std::min(free->high, 1.0));
  // No perplexity is below 1.
  const std::vector<double> nll{0.001, 0.2, 0.5, 4};
  const std::vector<double> tokens{10, 10, 10, 10};
  EXPECT_EQ(Bootstrap().perplexity_interval(nll, tokens)->low, 1);
}

TEST(Bootstrap, ValuesWithoutASpreadHaveAnIntervalWithoutWidth) {
  const std::vector<double> same(5, 0.7);
  expect_interval(Bootstrap().mean_interval(same), 0.7, 0.7);
}

// Of most samples the same value: many resamples draw nothing else, and must not make the interval
// endless.
TEST(Bootstrap, ResamplesWithoutASpreadDoNotMakeIntervalsEndless) {
  std::vector<double> values(16, 1);
  values[3] = 0.5;
  const auto interval = Bootstrap().mean_interval(values);
  const MeanEstimate estimate = estimate_mean(values);
  EXPECT_LT(interval->high - interval->low, 10 * *estimate.standard_error);
  EXPECT_GT(interval->high - interval->low, 2 * *estimate.standard_error);
}

const std::vector<std::string> kClusters{"x", "y", "x", "", "y", "", "x"};

TEST(Clusters, SamplesOfOneAreResampledAsOne) {
  const Clusters clusters(kClusters);
  EXPECT_TRUE(clusters.any());
  EXPECT_EQ(clusters.count(7), 4U);
  EXPECT_EQ(clusters.sums(kTokens), (std::vector<double>{44, 16, 6, 8}));
  const MeanEstimate estimate = estimate_mean(kA, clusters);
  EXPECT_NEAR(estimate.mean, 0.45714285714285713, kTolerance);
  EXPECT_NEAR(estimate.standard_error.value(), 0.09583872797472828, kTolerance);
  EXPECT_EQ(estimate.clusters, 4);
  EXPECT_EQ(estimate.samples, 7);
  const Bootstrap bootstrap;
  expect_interval(bootstrap.mean_interval(kA, clusters), 0.2821991473477182, 0.8857142857142857);
  expect_interval(bootstrap.perplexity_interval(kNllA, kTokens, clusters), 3.487199920342075,
                  7.270379254736931);
  const PairedDifference difference =
      paired_difference({kNllA, kNllB, kTokens, clusters}, bootstrap);
  expect_interval(difference.interval, -0.3261434511434511, 0.5036286286286287);
  EXPECT_NEAR(difference.p_value.value(), 0.678697783978684, kTolerance);
}

TEST(Clusters, SomeOfTheSamples) {
  const Clusters clusters(kClusters);
  const std::vector<size_t> some{1, 2, 3, 6};
  EXPECT_EQ(clusters.of(some).sums(std::vector<double>{1, 2, 3, 4}),
            (std::vector<double>{1, 6, 3}));
  const std::vector<size_t> apart{0, 1, 3};
  EXPECT_FALSE(clusters.of(apart).any());
  EXPECT_FALSE(Clusters(std::vector<std::string>{"a", "", "b", ""}).any());
}

TEST(Clusters, OneAloneSaysNothingOfTheSpread) {
  const std::vector<double> values{0.1, 0.9, 0.4};
  const Clusters one(std::vector<std::string>{"p", "p", "p"});
  EXPECT_FALSE(Bootstrap().mean_interval(values, one).has_value());
  EXPECT_FALSE(estimate_mean(values, one).standard_error.has_value());
  EXPECT_FALSE(paired_mean_difference(values, values, Bootstrap(), one).p_value.has_value());
}

/// Draws that are the same everywhere: the bootstrap's own engine, in (0, 1).
class Draws {
 public:
  explicit Draws(uint64_t seed) : random_(seed) {}
  double uniform() { return (static_cast<double>(random_() >> 11) + 0.5) / 9007199254740992.0; }
  double normal() {
    return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * 3.14159265358979323846 * uniform());
  }

 private:
  std::mt19937_64 random_;
};

/// What the intervals were before: the percentiles of the resampled means of samples.
Interval percentile_interval(const std::vector<double>& values) {
  const std::vector<std::span<const double>> columns{values};
  std::vector<double> means = Bootstrap().resampled_sums(columns)[0];
  for (double& mean : means) mean /= static_cast<double>(values.size());
  return {percentile(means, 0.025), percentile(means, 0.975)};
}

bool holds(const Interval& interval, double truth) {
  return interval.low <= truth && truth <= interval.high;
}

// docs/reports.md has the whole table (tests/golden/simulate_coverage.py).
TEST(Coverage, OfSixteenSkewedSamples) {
  constexpr int kTrials = 1000;
  Draws draws(20261128);
  int ours = 0;
  int percentiles = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values;
    for (int i = 0; i < 16; ++i) values.push_back(std::exp(draws.normal()));
    const double truth = std::exp(0.5);
    ours += holds(*Bootstrap().mean_interval(values), truth) ? 1 : 0;
    percentiles += holds(percentile_interval(values), truth) ? 1 : 0;
  }
  constexpr double kAtLeast = 0.90;
  EXPECT_GE(ours, kAtLeast * kTrials);
  EXPECT_LT(percentiles, kAtLeast * kTrials) << "the bound tells the two apart";
}

TEST(Coverage, OfQuestionsAboutOneImage) {
  constexpr int kTrials = 1000;
  Draws draws(20261129);
  int ours = 0;
  int as_independent = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values;
    std::vector<std::string> images;
    for (int image = 0; image < 12; ++image) {
      const double shared = draws.normal();
      for (int question = 0; question < 4; ++question) {
        values.push_back(shared + 0.5 * draws.normal());
        images.push_back(std::to_string(image));
      }
    }
    ours += holds(*Bootstrap(300).mean_interval(values, Clusters(images)), 0) ? 1 : 0;
    as_independent += holds(*Bootstrap(300).mean_interval(values), 0) ? 1 : 0;
  }
  constexpr double kAtLeast = 0.92;
  EXPECT_GE(ours, kAtLeast * kTrials);
  EXPECT_LT(as_independent, 0.8 * kTrials) << "the bound tells the two apart";
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
  const double half = 1.96 * *estimate.standard_error;
  EXPECT_NEAR(interval->low, estimate.mean - half, 0.05 * half);
  EXPECT_NEAR(interval->high, estimate.mean + half, 0.05 * half);
}

TEST(PairedDifference, OfMeans) {
  const PairedDifference difference = paired_mean_difference(kA, kB, Bootstrap());
  EXPECT_NEAR(difference.difference, 0.07142857142857144, kTolerance);
  EXPECT_NEAR(difference.standard_error.value(), 0.04344830378784442, kTolerance);
  expect_interval(difference.interval, -0.0821843797686183, 0.15723277964645022);
  EXPECT_NEAR(difference.p_value.value(), 0.2985933081755933, kTolerance);
  EXPECT_EQ(difference.samples, 7);
}

TEST(PairedDifference, OfManyPairsAreThoseOfEachAlone) {
  const std::vector<std::string> images{"x", "y", "x", "", "z", "z", "y"};
  const std::vector<double> first_a(kA.begin(), kA.begin() + 5);
  const std::vector<double> first_b(kB.begin(), kB.begin() + 5);
  std::vector<double> shifted = kB;
  for (double& value : shifted) value += 0.25;  // differs by the same from kB: nothing to resample
  std::vector<double> other = kTokens;
  other.back() += 1;
  const std::vector<PairedValues> pairs{{kA, kB, {}, {}},
                                        {kNllA, kNllB, kTokens, {}},
                                        {kNllB, kNllA, other, {}},
                                        {first_a, first_b, {}, {}},
                                        {shifted, kB, {}, {}},
                                        {kB, kA, {}, {}},
                                        {kNllA, kNllB, kTokens, Clusters(images)},
                                        {kA, kB, {}, Clusters(images)},
                                        {{0.5}, {0.25}, {}, {}},
                                        {kNllA, kNllA, kTokens, {}}};
  const std::vector<PairedDifference> together = paired_differences(pairs, Bootstrap());
  ASSERT_EQ(together.size(), pairs.size());
  for (size_t i = 0; i < pairs.size(); ++i) {
    const PairedDifference expected =
        pairs[i].weights.empty()
            ? paired_mean_difference(pairs[i].a, pairs[i].b, Bootstrap(), pairs[i].clusters)
            : paired_difference(pairs[i], Bootstrap());
    EXPECT_EQ(together[i].difference, expected.difference) << i;
    EXPECT_EQ(together[i].standard_error, expected.standard_error) << i;
    EXPECT_EQ(together[i].p_value, expected.p_value) << i;
    EXPECT_EQ(together[i].samples, expected.samples) << i;
    ASSERT_EQ(together[i].interval.has_value(), expected.interval.has_value()) << i;
    if (!expected.interval) continue;
    EXPECT_EQ(together[i].interval->low, expected.interval->low) << i;
    EXPECT_EQ(together[i].interval->high, expected.interval->high) << i;
  }
  EXPECT_TRUE(paired_differences({}, Bootstrap()).empty());
}

TEST(PairedDifference, OfLogPerplexities) {
  const PairedDifference difference = paired_difference({kNllA, kNllB, kTokens, {}}, Bootstrap());
  EXPECT_NEAR(difference.difference, -0.08445945945945946, kTolerance);
  EXPECT_NEAR(difference.standard_error.value(), 0.07509739463031335, kTolerance);
  expect_interval(difference.interval, -0.2973919041026323, 0.30355137370853824);
  EXPECT_NEAR(difference.p_value.value(), 0.6134310847257656, kTolerance);
  // It is the difference of the two log perplexities.
  EXPECT_NEAR(difference.difference,
              log_perplexity(kNllA, kTokens) - log_perplexity(kNllB, kTokens), kTolerance);
}

TEST(PairedDifference, OfPerplexities) {
  const PairedDifference difference =
      paired_perplexity_difference(kNllA, kNllB, kTokens, Bootstrap());
  EXPECT_NEAR(difference.difference, -0.3896640949858847, kTolerance);
  EXPECT_NEAR(difference.standard_error.value(), 0.3642438227753274, kTolerance);
  expect_interval(difference.interval, -1.4622477754372627, 0.5880528407124606);
  EXPECT_NEAR(difference.p_value.value(), 0.3671211588763137, kTolerance);
  EXPECT_EQ(difference.samples, 7);
}

TEST(PairedDifference, OfPerplexitiesBeyondADoubleHasNoInterval) {
  const std::vector<double> huge{800.0 * 3, 700.0 * 3, 720.0 * 3};
  const std::vector<double> small{3, 4, 5};
  const std::vector<double> tokens{3, 3, 3};
  EXPECT_FALSE(paired_perplexity_difference(huge, small, tokens, Bootstrap()).interval.has_value());
}

TEST(PairedDifference, PIsBelowFivePercentWhereTheIntervalExcludesZero) {
  Draws draws(7);
  int significant = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> a;
    std::vector<double> b;
    for (int i = 0; i < 12; ++i) {
      a.push_back(std::exp(draws.normal()));
      b.push_back(a.back() + 0.6 * draws.normal() + 0.3);
    }
    const PairedDifference difference = paired_mean_difference(a, b, Bootstrap(200));
    const bool excludes = difference.interval->low > 0 || difference.interval->high < 0;
    EXPECT_EQ(excludes, *difference.p_value < 0.05) << trial;
    significant += excludes ? 1 : 0;
  }
  EXPECT_GT(significant, 20);
  EXPECT_LT(significant, 180);
}

TEST(PairedDifference, IsNarrowerThanTheStrategiesApart) {
  // Samples differ much, strategies always by the same: the paired interval has no width.
  std::vector<double> shifted(kA);
  for (double& value : shifted) value += 0.25;
  const PairedDifference difference = paired_mean_difference(shifted, kA, Bootstrap());
  EXPECT_NEAR(difference.interval->low, 0.25, kTolerance);
  EXPECT_NEAR(difference.interval->high, 0.25, kTolerance);
  EXPECT_NEAR(difference.p_value.value(), 1.0 / 64, kTolerance) << "of seven equal signs";
}

TEST(PairedDifference, EqualStrategiesAreNotSignificant) {
  const PairedDifference difference = paired_mean_difference(kA, kA, Bootstrap());
  EXPECT_EQ(difference.difference, 0);
  EXPECT_EQ(difference.p_value.value(), 1);
}

TEST(Holm, AdjustsForAllThatAreLookedAt) {
  // As R's p.adjust(p, "holm").
  EXPECT_EQ(holm_adjusted(std::vector<double>{0.01, 0.04, 0.03, 0.005}),
            (std::vector<double>{0.03, 0.06, 0.06, 0.02}));
  EXPECT_EQ(holm_adjusted(std::vector<double>{0.6, 0.5}), (std::vector<double>{1, 1}));
  EXPECT_TRUE(holm_adjusted({}).empty());
}

TEST(StudentT, EqualsQuadrature) {
  EXPECT_NEAR(student_t_cdf(-2.5, 3), 0.04385332350403274, 1e-13);
  EXPECT_NEAR(student_t_cdf(1.25, 1), 0.7852232874772773, 1e-13);
  EXPECT_NEAR(student_t_cdf(-6, 31), 6.13548097643352e-07, 1e-18);
  EXPECT_NEAR(student_t_quantile(0.975, 1), 12.706204736174698, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.975, 7), 2.364624251592781, 1e-12);
  EXPECT_NEAR(student_t_quantile(0.01, 30), -2.4572615424005924, 1e-12);
  EXPECT_EQ(student_t_cdf(0, 5), 0.5);
}

TEST(PairedDifference, NeedsTheSameSamples) {
  EXPECT_THROW(paired_mean_difference(kA, std::vector<double>{1}, Bootstrap()), InternalError);
}

}  // namespace
}  // namespace elastikv
