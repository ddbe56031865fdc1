#include "metrics/perplexity.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace elastikv {
namespace {

const Bootstrap kBootstrap(200);
const Clusters kApart;
const Perplexity kPerplexity(ScoredTokens::kAll);

ModelOutput scored(double nll, int64_t tokens) {
  ModelOutput output;
  output.nll_sum = nll;
  output.scored_tokens = tokens;
  return output;
}

Measurement measure(const std::vector<ModelOutput>& outputs, const Clusters& clusters = {}) {
  std::vector<MeasuredSample> samples;
  for (const ModelOutput& output : outputs) samples.push_back({output, {}});
  return kPerplexity.measure(samples, clusters, kBootstrap);
}

/// By the name of its column.
std::optional<double> more(const Measurement& measurement, const std::string& name) {
  const std::vector<std::string>& names = kPerplexity.traits().more;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return measurement.more.at(i);
  }
  throw std::runtime_error("no number " + name);
}

TEST(Perplexity, MicroAndMacroDiffer) {
  const Measurement found = measure({scored(6, 3), scored(300, 300)});
  EXPECT_NEAR(found.value.value(), std::exp(306.0 / 303), 1e-12);
  EXPECT_NEAR(found.value.value(), 2.745, 5e-4);
  EXPECT_NEAR(more(found, "ppl_sample_mean").value(), (std::exp(2) + std::exp(1)) / 2, 1e-12);
  EXPECT_NEAR(more(found, "ppl_sample_mean").value(), 5.054, 5e-4);
  EXPECT_NEAR(more(found, "nll").value(), 306.0 / 303, 1e-12);
  EXPECT_NEAR(more(found, "bits_per_token").value(), 306.0 / 303 / std::numbers::ln2, 1e-12);
  EXPECT_EQ(more(found, "scored_tokens"), 303);
  EXPECT_EQ(more(found, "one_token_answers"), 0);
  EXPECT_EQ(found.samples, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(kPerplexity.amount(found), "303 scored tokens");
  // Two samples: the bootstrap sees three mixtures. The outer ones are pure and have no spread of
  // their own, so that a quarter of the whole one counts: r - 4 (2 - r), not below 0, to r + 4 (r -
  // 1).
  const double r = 306.0 / 303;
  EXPECT_EQ(found.interval->low, 1);
  EXPECT_NEAR(found.interval->high, std::exp(r + 4 * (r - 1)), 1e-9);
}

TEST(Perplexity, AnswersWithoutAScoredTokenCountNothing) {
  const Measurement found = measure({scored(0, 0), scored(3, 2), scored(0, 0)});
  EXPECT_EQ(found.samples, (std::vector<size_t>{1}));
  EXPECT_EQ(found.of, 3U);
  EXPECT_NEAR(found.value.value(), std::exp(1.5), 1e-12);
  EXPECT_FALSE(found.interval.has_value());
  const MeasuredCell cell{"c", false, found, kApart};
  EXPECT_EQ(kPerplexity.notes({&cell, 1}),
            (std::vector<std::string>{"2 of 3 answers have no scored token (the last one is not "
                                      "scored) and count nothing."}));
}

TEST(Perplexity, SamplesOfOneClusterAreOneUnit) {
  const std::vector<std::string> names{"a", "", "a", "b"};
  const std::vector<ModelOutput> outputs{scored(6, 3), scored(0, 0), scored(4, 4), scored(9, 3)};
  const Measurement found = measure(outputs, Clusters(names));
  const std::vector<double> nll{10, 9};
  const std::vector<double> tokens{7, 3};
  const auto interval = kBootstrap.perplexity_interval(nll, tokens);
  EXPECT_EQ(found.interval->low, interval->low);
  EXPECT_EQ(found.interval->high, interval->high);
}

TEST(Perplexity, ANonFiniteSampleFailsTheCell) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const Measurement found = measure({scored(1, 1), scored(bad, 2)});
    EXPECT_FALSE(found.value || found.interval || more(found, "ppl_sample_mean") ||
                 more(found, "nll") || more(found, "bits_per_token"));
  }
}

TEST(Perplexity, NothingScoredHasNoValue) {
  EXPECT_FALSE(measure({}).value.has_value());
  EXPECT_EQ(more(measure({scored(0, 0)}), "scored_tokens"), 0);
  EXPECT_EQ(kPerplexity.amount(measure({scored(0, 0)})), "");
}

TEST(Perplexity, DifferencesLeaveAnswersOfOneTokenOut) {
  const Measurement a = measure({scored(2, 1), scored(6, 3), scored(8, 4)});
  const Measurement b = measure({scored(2, 1), scored(5, 3), scored(10, 4)});
  const MeasuredCell cell_a{"a", false, a, kApart};
  const MeasuredCell cell_b{"b", false, b, kApart};
  const auto paired = kPerplexity.pairs(cell_a, cell_b);
  EXPECT_EQ(paired->a, (std::vector<double>{6, 8}));
  EXPECT_EQ(paired->b, (std::vector<double>{5, 10}));
  EXPECT_EQ(paired->weights, (std::vector<double>{3, 4}));
  EXPECT_EQ(kPerplexity.unmoved(a), "1 of 3 answers (33.3 %) have one scored token");
  EXPECT_EQ(kPerplexity.difference_note(a),
            "exp of a number is a ratio of perplexities. 1 of 3 answers have one scored token and "
            "are left out.");
  EXPECT_EQ(kPerplexity.difference_note({}), "exp of a number is a ratio of perplexities.");
  // Papers print that of all answers.
  EXPECT_NEAR(kPerplexity.printed_difference(cell_a, cell_b, kBootstrap)->difference,
              std::exp(16.0 / 8) - std::exp(17.0 / 8), 1e-12);
  const Measurement other = measure({scored(2, 1), scored(5, 2), scored(9, 4)});
  EXPECT_ERROR(kPerplexity.pairs(cell_a, {"o", false, other, kApart}),
               "a and o: scored different numbers of tokens of the same answers");
}

TEST(CompressAtPerplexity, AnswersOfOneTokenCountWhereTheyComeFromACompressedCache) {
  const auto late = [](double nll, int64_t tokens) {
    ModelOutput output = scored(nll, tokens);
    output.compressed_tokens = 7;
    return output;
  };
  const Measurement full = measure({scored(2, 1), scored(6, 3)});
  const Measurement a = measure({late(3, 1), late(7, 3)});
  const Measurement b = measure({late(4, 1), late(8, 3)});
  EXPECT_EQ(more(full, "one_token_answers"), 1);
  EXPECT_EQ(more(a, "one_token_answers"), 0);
  EXPECT_EQ(kPerplexity.unmoved(a), "");
  const MeasuredCell cells[] = {
      {"full", true, full, kApart}, {"a", false, a, kApart}, {"b", false, b, kApart}};
  EXPECT_EQ(kPerplexity.pairs(cells[1], cells[2])->a, (std::vector<double>{3, 7}));
  EXPECT_EQ(kPerplexity.pairs(cells[1], cells[0])->b, (std::vector<double>{2, 6}));
  EXPECT_TRUE(kPerplexity.notes(cells).empty());
  EXPECT_EQ(kPerplexity.notes({cells, 1}).size(), 1U) << "the full cache alone";
}

}  // namespace
}  // namespace elastikv
