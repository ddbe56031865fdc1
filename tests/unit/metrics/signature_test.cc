#include "metrics/signature.h"

#include <string>

#include <gtest/gtest.h>

#include "base/version.h"
#include "metrics/text_metrics.h"

namespace elastikv {
namespace {

const std::string kImplementation = "impl:elastikv-" + std::string(version());

TEST(Signature, OfTextMetrics) {
  const TextMetrics metrics({"rougeL", "rougeLsum-stem", "rouge2", "rouge-l-pltrdy"});
  const SignatureContext context;
  EXPECT_EQ(
      metrics.signature(0, context),
      "rougeL "
      "type:f|tok:google[a-z0-9]|stem:no|lsum:newline|agg:mean|ci:bootstrap-t|bs:1000|seed:12345|" +
          kImplementation + "|ref:full-cache");
  EXPECT_EQ(metrics.signature(1, context),
            "rougeLsum-stem type:f|tok:google[a-z0-9]|stem:nltk-porter|lsum:newline|agg:mean|"
            "ci:bootstrap-t|bs:1000|seed:12345|" +
                kImplementation + "|ref:full-cache");
  EXPECT_EQ(
      metrics.signature(2, {.reference = "dataset", .bootstrap = 0}),
      "rouge2 type:f|tok:google[a-z0-9]|stem:no|agg:mean|bs:0|" + kImplementation + "|ref:dataset");
  EXPECT_EQ(metrics.signature(3, context),
            "rouge-l-pltrdy type:f|tok:pltrdy-1.0.1|exclusive:yes|sent:dot|empty:zero|agg:mean|"
            "ci:bootstrap-t|bs:1000|seed:12345|" +
                kImplementation + "|ref:full-cache");
}

TEST(Signature, OfOtherWordsAndSentences) {
  const TextMetrics metrics({"rougeL-characters", "rouge2-unicode", "rougeLsum-unicode-sentences"});
  const SignatureContext context{.reference = "given", .bootstrap = 0};
  const std::string end = "|agg:mean|bs:0|" + kImplementation + "|ref:given";
  EXPECT_EQ(metrics.signature(0, context),
            "rougeL-characters type:f|tok:characters[LMN]-1|stem:no|lsum:newline" + end);
  EXPECT_EQ(metrics.signature(1, context),
            "rouge2-unicode type:f|tok:unicode[LMN]-1|stem:no" + end);
  EXPECT_EQ(
      metrics.signature(2, context),
      "rougeLsum-unicode-sentences type:f|tok:unicode[LMN]-1|stem:no|lsum:newline+marks-1" + end);
}

TEST(Signature, OfPerplexityAndAgreement) {
  const SignatureContext context{.reference = "dataset", .bootstrap = 500, .seed = 1};
  const std::string end = "|ci:bootstrap-t|bs:500|seed:1|" + kImplementation + "|ref:dataset";
  EXPECT_EQ(perplexity_signature(ScoredTokens::kAllButLast, context),
            "ppl type:exp-nll|last:unscored|agg:tokens" + end);
  EXPECT_EQ(perplexity_signature(ScoredTokens::kAll, context),
            "ppl type:exp-nll|last:scored|agg:tokens" + end);
  EXPECT_EQ(first_divergence_signature(context),
            "first_divergence type:common-prefix|unit:token|agg:mean" + end);
  EXPECT_EQ(match_rate_signature(context),
            "match_rate type:same-position|over:longer|unit:token|agg:mean" + end);
  EXPECT_EQ(mean_kl_signature(context),
            "mean_kl type:kl-reference-candidate|unit:nat|rev:2|agg:mean" + end);
  EXPECT_EQ(perplexity_signature(ScoredTokens::kAllAndEnd, context),
            "ppl type:exp-nll|last:scored|end:scored|agg:tokens" + end);
}

}  // namespace
}  // namespace elastikv
