#include "metrics/perplexity.h"

#include <cmath>
#include <limits>
#include <numbers>

#include <gtest/gtest.h>

namespace elastikv {
namespace {

const Bootstrap kBootstrap(200);

TEST(Perplexity, MicroAndMacroDiffer) {
  Perplexity perplexity;
  perplexity.add(sum_nll(std::vector<float>(3, 2.0F), ScoredTokens::kAll));
  perplexity.add(sum_nll(std::vector<float>(300, 1.0F), ScoredTokens::kAll));
  const PerplexitySummary summary = perplexity.summarize(kBootstrap);
  EXPECT_NEAR(summary.ppl.value(), std::exp(306.0 / 303), 1e-12);
  EXPECT_NEAR(summary.ppl.value(), 2.745, 5e-4);
  EXPECT_NEAR(summary.ppl_sample_mean.value(), (std::exp(2) + std::exp(1)) / 2, 1e-12);
  EXPECT_NEAR(summary.ppl_sample_mean.value(), 5.054, 5e-4);
  EXPECT_NEAR(summary.nll_per_token.value(), 306.0 / 303, 1e-12);
  EXPECT_NEAR(summary.bits_per_token.value(), 306.0 / 303 / std::numbers::ln2, 1e-12);
  EXPECT_EQ(summary.tokens, 303);
  EXPECT_EQ(summary.samples, 2);
  EXPECT_FALSE(summary.failed());
  EXPECT_FALSE(summary.bits_per_byte.has_value());
  // r = 306/303, residuals 6 - 3r and 300 - 300r, n/(n-1) = 2.
  const double r = 306.0 / 303;
  const double se = std::sqrt(2 * (std::pow(6 - 3 * r, 2) + std::pow(300 - 300 * r, 2))) / 303;
  EXPECT_NEAR(summary.ppl_delta->low, std::exp(r - 1.96 * se), 1e-12);
  EXPECT_NEAR(summary.ppl_delta->high, std::exp(r + 1.96 * se), 1e-12);
  // Two samples: the bootstrap sees three mixtures. The outer ones are pure and have no spread of
  // their own, so that a quarter of the whole one counts: r - 4 (2 - r), not below 0, to r + 4 (r -
  // 1).
  EXPECT_EQ(summary.ppl_bootstrap->low, 1);
  EXPECT_NEAR(summary.ppl_bootstrap->high, std::exp(r + 4 * (r - 1)), 1e-9);
}

TEST(Perplexity, PaperProtocolLeavesTheLastTokenOut) {
  const std::vector<float> answer{1.0F, 2.0F, 9.0F};
  const SampleNll sample = sum_nll(answer, ScoredTokens::kAllButLast);
  EXPECT_EQ(sample.nll, 3);
  EXPECT_EQ(sample.tokens, 2);
  Perplexity perplexity;
  perplexity.add(sample);
  perplexity.add(sum_nll(std::vector<float>{7.0F}, ScoredTokens::kAllButLast));
  perplexity.add(sum_nll({}, ScoredTokens::kAllButLast));
  const PerplexitySummary summary = perplexity.summarize(kBootstrap);
  EXPECT_EQ(summary.samples, 1);
  EXPECT_NEAR(summary.ppl.value(), std::exp(1.5), 1e-12);
  EXPECT_FALSE(summary.ppl_delta.has_value());
  EXPECT_FALSE(summary.ppl_bootstrap.has_value());
}

TEST(Perplexity, SumsInDouble) {
  // In float, 2^24 + 1 is 2^24: the small terms would vanish.
  std::vector<float> token_nll(1001, 1.0F);
  token_nll[0] = 16777216.0F;
  EXPECT_EQ(sum_nll(token_nll, ScoredTokens::kAll).nll, 16778216.0);
}

TEST(Perplexity, BitsPerByteNeedsTheBytesOfEverySample) {
  Perplexity perplexity;
  perplexity.add({.nll = 8, .tokens = 4, .bytes = 16});
  perplexity.add({.nll = 4, .tokens = 4, .bytes = 8});
  EXPECT_NEAR(perplexity.summarize(kBootstrap).bits_per_byte.value(), 0.5 / std::numbers::ln2,
              1e-12);
  perplexity.add({.nll = 4, .tokens = 4, .bytes = std::nullopt});
  EXPECT_FALSE(perplexity.summarize(kBootstrap).bits_per_byte.has_value());
}

TEST(Perplexity, ANonFiniteSampleFailsTheCell) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Perplexity perplexity;
    perplexity.add(sum_nll(std::vector<float>{1.0F}, ScoredTokens::kAll));
    perplexity.add(sum_nll(std::vector<float>{1.0F, bad}, ScoredTokens::kAll));
    const PerplexitySummary summary = perplexity.summarize(kBootstrap);
    EXPECT_TRUE(summary.failed());
    EXPECT_EQ(summary.failed_samples, 1);
    EXPECT_EQ(summary.samples, 1);
    EXPECT_FALSE(summary.ppl || summary.ppl_sample_mean || summary.ppl_delta ||
                 summary.ppl_bootstrap || summary.bits_per_token);
  }
}

TEST(Perplexity, NothingScoredHasNoValue) {
  const PerplexitySummary summary = Perplexity().summarize(kBootstrap);
  EXPECT_FALSE(summary.failed());
  EXPECT_FALSE(summary.ppl.has_value());
  EXPECT_EQ(summary.tokens, 0);
}

}  // namespace
}  // namespace elastikv
