#include "metrics/agreement.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "metrics/metric_set.h"

namespace elastikv {
namespace {

using Ids = std::vector<int64_t>;

const Clusters kApart;

TEST(Agreement, CountsPositionsOverTheLongerSequence) {
  const Agreement agreement = compare_tokens(Ids{1, 2, 3, 4}, Ids{1, 2, 9, 4, 5});
  EXPECT_EQ(agreement.first_divergence, 2);
  EXPECT_EQ(agreement.matching_tokens, 3);
  EXPECT_DOUBLE_EQ(agreement.match_rate, 3.0 / 5);
  EXPECT_FALSE(agreement.identical);
  EXPECT_EQ(agreement.reference_tokens, 4);
  EXPECT_EQ(agreement.candidate_tokens, 5);
}

TEST(Agreement, APrefixDivergesAtItsEnd) {
  for (const bool swap : {false, true}) {
    const Ids shorter{1, 2};
    const Ids longer{1, 2, 3};
    const Agreement agreement =
        swap ? compare_tokens(longer, shorter) : compare_tokens(shorter, longer);
    EXPECT_EQ(agreement.first_divergence, 2);
    EXPECT_DOUBLE_EQ(agreement.match_rate, 2.0 / 3);
    EXPECT_FALSE(agreement.identical);
  }
}

TEST(Agreement, EqualAndEmptySequences) {
  EXPECT_TRUE(compare_tokens(Ids{5, 6}, Ids{5, 6}).identical);
  EXPECT_EQ(compare_tokens(Ids{5, 6}, Ids{5, 6}).first_divergence, 2);
  EXPECT_EQ(compare_tokens({}, {}).match_rate, 1);
  EXPECT_TRUE(compare_tokens({}, {}).identical);
  EXPECT_EQ(compare_tokens({}, Ids{1}).match_rate, 0);
}

/// The metrics of agreement over samples of (full cache's tokens, the cell's, KL).
class AgreementMetrics : public testing::Test {
 protected:
  struct Made {
    Ids full;
    Ids cell;
    std::optional<double> kl;
    int64_t scored_tokens = 2;
  };

  static MetricSet set() {
    MetricChoice choice;
    choice.perplexity = false;
    choice.text.clear();
    return MetricSet(choice);
  }

  Measurement measure(const std::string& name, const std::vector<Made>& made) const {
    std::vector<ModelOutput> outputs;
    std::vector<Scores> scores;
    for (const Made& one : made) {
      ModelOutput full;
      full.token_ids = one.full;
      ModelOutput& output = outputs.emplace_back();
      output.token_ids = one.cell;
      output.mean_kl = one.kl;
      output.scored_tokens = one.scored_tokens;
      scores.push_back(set_.score({output, full, {}, Question{}}, /*is_full=*/false));
    }
    std::vector<MeasuredSample> samples;
    for (size_t i = 0; i < made.size(); ++i) samples.push_back({outputs[i], scores[i]});
    for (const auto& metric : set_.metrics()) {
      if (metric->traits().name == name) return metric->measure(samples, kApart, Bootstrap(100));
    }
    throw std::runtime_error("no metric " + name);
  }

  MetricSet set_ = set();
};

TEST_F(AgreementMetrics, AreMeansOverSamples) {
  const std::vector<Made> made{
      {{1, 2}, {1, 2}, 0.5}, {{1, 2, 3, 4}, {1, 9, 9, 9}, 1.5}, {{1, 2}, {3, 4}, std::nullopt}};
  EXPECT_DOUBLE_EQ(measure("first_divergence", made).value.value(), 1);
  EXPECT_DOUBLE_EQ(measure("match_rate", made).value.value(), (1 + 0.25 + 0) / 3);
  const Measurement kl = measure("mean_kl", made);
  EXPECT_DOUBLE_EQ(kl.value.value(), 1);
  EXPECT_EQ(kl.samples, (std::vector<size_t>{0, 1}));
  const MeasuredCell cell{"c", false, kl, kApart};
  EXPECT_EQ(set_.metrics().back()->notes({&cell, 1}),
            (std::vector<std::string>{
                "Over 2 of 3 samples: of the other answers no token but the first is scored, and "
                "that one's distribution comes from the uncompressed prompt."}));
}

TEST_F(AgreementMetrics, AreAbsentRatherThanWrong) {
  for (const char* name : {"first_divergence", "match_rate", "mean_kl"})
    EXPECT_FALSE(measure(name, {}).value.has_value()) << name;
  // Earlier records hold 0 where nothing was compared.
  EXPECT_FALSE(measure("mean_kl", {{{1}, {1}, 0.0, /*scored_tokens=*/1}}).value.has_value());
}

TEST_F(AgreementMetrics, DifferencesAreOfTheSamplesOfBoth) {
  const Measurement a = measure("mean_kl", {{{}, {}, 1.0}, {{}, {}, {}}, {{}, {}, 3.0}});
  const Measurement b = measure("mean_kl", {{{}, {}, {}}, {{}, {}, 5.0}, {{}, {}, 4.0}});
  const Metric& metric = *set_.metrics().back();
  const auto paired = metric.pairs({"a", false, a, kApart}, {"b", false, b, kApart});
  EXPECT_EQ(paired->a, (std::vector<double>{3}));
  EXPECT_EQ(paired->b, (std::vector<double>{4}));
  const Measurement none = measure("mean_kl", {{{}, {}, {}}, {{}, {}, {}}, {{}, {}, {}}});
  EXPECT_FALSE(metric.pairs({"a", false, a, kApart}, {"n", false, none, kApart}).has_value());
}

TEST_F(AgreementMetrics, TheFullCacheHasNoScores) {
  const ModelOutput output;
  EXPECT_EQ(set_.score({output, output, {}, Question{}}, /*is_full=*/true), Scores{std::nullopt});
}

}  // namespace
}  // namespace elastikv
