#include "metrics/signature.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/version.h"
#include "metrics/metric_set.h"
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
  const SignatureContext context{.reference = "none", .bootstrap = 500, .seed = 1};
  const std::string end = "|ci:bootstrap-t|bs:500|seed:1|" + kImplementation + "|ref:";
  const auto of = [&](MetricChoice choice, size_t place) {
    choice.text.clear();
    return MetricSet(choice).metrics().at(place)->signature(context);
  };
  EXPECT_EQ(of({}, 0), "ppl type:exp-nll|last:scored|agg:tokens" + end + "dataset");
  EXPECT_EQ(of({.score_last_token = false}, 0),
            "ppl type:exp-nll|last:unscored|agg:tokens" + end + "dataset");
  EXPECT_EQ(of({.score_end = true}, 0),
            "ppl type:exp-nll|last:scored|end:scored|agg:tokens" + end + "dataset");
  EXPECT_EQ(of({}, 1),
            "first_divergence type:common-prefix|unit:token|agg:mean" + end + "full-cache");
  EXPECT_EQ(of({}, 2),
            "match_rate type:same-position|over:longer|unit:token|agg:mean" + end + "full-cache");
  EXPECT_EQ(of({}, 3),
            "mean_kl type:kl-reference-candidate|unit:nat|rev:2|agg:mean" + end + "full-cache");
}

TEST(Signature, SaysWhatTextsWereComparedWith) {
  for (const auto& [reference, said] : {std::pair{TextReference::kFullCache, "|ref:full-cache"},
                                        std::pair{TextReference::kDataSet, "|ref:dataset"}}) {
    const MetricSet set(
        MetricChoice{.perplexity = false, .reference = reference, .agreement = false});
    EXPECT_TRUE(set.metrics().at(0)->signature({}).ends_with(said));
  }
}

}  // namespace
}  // namespace elastikv
