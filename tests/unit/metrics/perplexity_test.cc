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
  perplexity.add({.nll = 6, .tokens = 3});
  perplexity.add({.nll = 300, .tokens = 300});
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
  const double r = 306.0 / 303;
  // Two samples: the bootstrap sees three mixtures. The outer ones are pure and have no spread of
  // their own, so that a quarter of the whole one counts: r - 4 (2 - r), not below 0, to r + 4 (r -
  // 1).
  EXPECT_EQ(summary.ppl_bootstrap->low, 1);
  EXPECT_NEAR(summary.ppl_bootstrap->high, std::exp(r + 4 * (r - 1)), 1e-9);
}

TEST(Perplexity, ASampleWithoutScoredTokensIsNone) {
  Perplexity perplexity;
  perplexity.add({.nll = 3, .tokens = 2});
  perplexity.add({.nll = 0, .tokens = 0});
  const PerplexitySummary summary = perplexity.summarize(kBootstrap);
  EXPECT_EQ(summary.samples, 1);
  EXPECT_NEAR(summary.ppl.value(), std::exp(1.5), 1e-12);
  EXPECT_FALSE(summary.ppl_bootstrap.has_value()) << "nothing is known of the spread";
}

TEST(Perplexity, ANonFiniteSampleFailsTheCell) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Perplexity perplexity;
    perplexity.add({.nll = 1, .tokens = 1});
    perplexity.add({.nll = bad, .tokens = 2});
    const PerplexitySummary summary = perplexity.summarize(kBootstrap);
    EXPECT_TRUE(summary.failed());
    EXPECT_EQ(summary.failed_samples, 1);
    EXPECT_EQ(summary.samples, 1);
    EXPECT_FALSE(summary.ppl || summary.ppl_sample_mean || summary.ppl_bootstrap ||
                 summary.bits_per_token);
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
