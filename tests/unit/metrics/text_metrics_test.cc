#include "metrics/text_metrics.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "metrics/rouge_google.h"
#include "metrics/rouge_pltrdy.h"
#include "metrics/text_pair.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

constexpr const char* kReference = "A dog, running quickly;\nthe dogs ran on. They ran.";
constexpr const char* kCandidate = "Dogs run quickly.\nThey ran on.";

TEST(TextMetrics, EveryNameIsItsOwnDefinition) {
  const TextMetrics metrics(text_metric_names());
  const std::vector<TextScore> scores = metrics.score(kReference, kCandidate);
  const GoogleRouge plain(kReference, kCandidate, RougeWords::kGoogle);
  const GoogleRouge stemmed(kReference, kCandidate, RougeWords::kGoogleStem);
  const PltrdyRouge pltrdy(kReference, kCandidate);
  const std::vector<TextScore> expected{pltrdy.rouge_n(1),  pltrdy.rouge_n(2),   pltrdy.rouge_l(),
                                        plain.rouge_n(1),   plain.rouge_n(2),    plain.rouge_l(),
                                        plain.rouge_lsum(), stemmed.rouge_n(1),  stemmed.rouge_n(2),
                                        stemmed.rouge_l(),  stemmed.rouge_lsum()};
  ASSERT_EQ(scores.size(), expected.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    EXPECT_EQ(scores[i].precision, expected[i].precision) << metrics.names()[i];
    EXPECT_EQ(scores[i].recall, expected[i].recall) << metrics.names()[i];
    EXPECT_EQ(scores[i].f, expected[i].f) << metrics.names()[i];
  }
}

TEST(TextMetrics, LongerNgramsAreKnownToo) {
  const TextMetrics metrics({"rouge9", "rouge3-stem", "rouge-5-pltrdy"});
  EXPECT_EQ(metrics.score("a b c", "a b c")[1].f, 1);
  EXPECT_EQ(metrics.score("a b c", "a b c")[0].f, 0);
}

TEST(TextMetrics, BestOfSeveralReferencesIsChosenByEachMetric) {
  const TextMetrics metrics({"rouge1", "rouge2", "rouge-l-pltrdy"});
  // The first reference has the candidate's words, the second one its pairs.
  const std::vector<std::string> references{"d c b a", "a b x y z w v"};
  const auto first = metrics.score(references[0], "a b c d");
  const auto second = metrics.score(references[1], "a b c d");
  ASSERT_GT(first[0].f, second[0].f);
  ASSERT_LT(first[1].f, second[1].f);
  const auto best = metrics.score_best(references, "a b c d");
  EXPECT_EQ(best[0].f, first[0].f);
  EXPECT_EQ(best[1].f, second[1].f);
  EXPECT_EQ(best[1].precision, second[1].precision);
  EXPECT_EQ(best[2].f, std::max(first[2].f, second[2].f));
  // One reference is the ordinary score; an empty one beside another does not count as undefined.
  EXPECT_EQ(metrics.score_best({references[1]}, "a b c d")[0].f, second[0].f);
  const auto beside_empty = metrics.score_best({"", "x"}, "a b c d");
  EXPECT_TRUE(beside_empty[2].defined);
  EXPECT_FALSE(metrics.score_best({"", ""}, "a b c d")[2].defined);
}

TEST(TextMetrics, WrongNamesAreErrors) {
  EXPECT_ERROR(TextMetrics({"rouge-L"}), "metric 'rouge-L' is not known; did you mean 'rougeL'?");
  EXPECT_ERROR(TextMetrics({"rouge0"}), "metric 'rouge0' is not known; did you mean 'rouge1'?");
  EXPECT_ERROR(TextMetrics({"rouge-6-pltrdy"}),
               "metric 'rouge-6-pltrdy' is not known; did you mean 'rouge-1-pltrdy'?");
  EXPECT_ERROR(TextMetrics({"rouge-l-pltrdy-stem"}),
               "metric 'rouge-l-pltrdy-stem' is not known; did you mean 'rouge-l-pltrdy'?");
  EXPECT_ERROR(TextMetrics({"rouge1", "rougeL", "rouge1"}), "metric 'rouge1' is given twice");
  EXPECT_ERROR_CONTAINS(TextMetrics({}), "no metric was asked for; known: rouge-1-pltrdy, ");
}

// The packages give 0 to a text beside itself when it has none of what they count.
TEST(TextMetrics, TextsWithoutWordsAreMarked) {
  const TextMetrics metrics({"rouge1", "rouge2", "rougeLsum-stem", "rouge-2-pltrdy",
                             "rougeL-characters", "rougeL-unicode"});
  const std::vector<TextScore> chinese = metrics.score("一只猫。", "一只猫。");
  EXPECT_EQ(chinese[0].f, 0);
  EXPECT_FALSE(chinese[0].defined);
  EXPECT_FALSE(chinese[1].defined);
  EXPECT_FALSE(chinese[2].defined);
  EXPECT_FALSE(chinese[3].defined) << "one word has no two in a row";
  EXPECT_EQ(chinese[4].f, 1);
  EXPECT_EQ(chinese[5].f, 1);
  EXPECT_TRUE(chinese[4].defined && chinese[5].defined);
  const std::vector<TextScore> one_word = metrics.score("Yes", "Yes");
  EXPECT_TRUE(one_word[0].defined);
  EXPECT_FALSE(one_word[1].defined);
  EXPECT_EQ(metrics.missing_words(0), "a word of a-z and 0-9");
  EXPECT_EQ(metrics.missing_words(1), "2 words of a-z and 0-9");
  EXPECT_EQ(metrics.missing_words(3), "2 words");
  EXPECT_EQ(metrics.missing_words(4), "a letter or digit");
}

TEST(TextMetrics, OtherWordsHaveNamesOfTheirOwn) {
  EXPECT_EQ(rouge_variant("rougeL", "characters", "lines"), "rougeL-characters");
  EXPECT_EQ(rouge_variant("rougeLsum", "unicode", "marks"), "rougeLsum-unicode-sentences");
  EXPECT_EQ(rouge_variant("rougeLsum", "words", "marks"), "rougeLsum-sentences");
  EXPECT_EQ(rouge_variant("rouge1", "words", "marks"), "rouge1");
  EXPECT_EQ(rouge_variant("rougeL-stem", "unicode", "lines"), "");
  EXPECT_EQ(rouge_variant("rouge-l-pltrdy", "unicode", "lines"), "");
  EXPECT_ERROR_CONTAINS(TextMetrics({"rougeL-sentences"}),
                        "metric 'rougeL-sentences' is not known");
  EXPECT_ERROR_CONTAINS(TextMetrics({"rouge-l-pltrdy-unicode"}), "is not known");
  // Sentences of rougeLsum: only where the text is split, the order of two does not matter.
  const TextMetrics sums({"rougeLsum", "rougeLsum-sentences"});
  const auto scores = sums.score("A cat sat. The dog ran.", "The dog ran. A cat sat.");
  EXPECT_LT(scores[0].f, 1);
  EXPECT_EQ(scores[1].f, 1);
}

TEST(TextMetrics, LabelsNameThePackageAndTheWords) {
  const TextMetrics metrics({"rouge-2-pltrdy", "rouge-l-pltrdy", "rougeL", "rougeLsum-stem",
                             "rougeLsum-unicode-sentences"});
  std::vector<std::string> labels;
  for (const auto& metric : metrics.metrics()) labels.push_back(metric->form().label);
  EXPECT_EQ(labels, (std::vector<std::string>{"ROUGE-2 (pltrdy)", "ROUGE-L (pltrdy)",
                                              "ROUGE-L (Google)", "ROUGE-Lsum (Google, stemmed)",
                                              "ROUGE-Lsum (Google, Unicode words, sentences)"}));
}

/// Counts how often a text is read.
struct CountedReading {
  CountedReading(std::string_view reference, std::string_view candidate, int choice)
      : text(std::string(reference) + std::string(candidate) + std::to_string(choice)) {
    ++made;
  }
  std::string text;
  static inline int made = 0;
};

TEST(TextPair, EachReadingIsMadeOnce) {
  TextPair pair("a", "b");
  const auto& one = pair.as<CountedReading>(1);
  const auto& two = pair.as<CountedReading>(2);
  EXPECT_EQ(&pair.as<CountedReading>(1), &one);
  EXPECT_EQ(one.text, "ab1");
  EXPECT_EQ(two.text, "ab2");
  EXPECT_EQ(CountedReading::made, 2);
}

TEST(TextMetrics, EmptyTextsAreMarked) {
  const TextMetrics metrics({"rouge-l-pltrdy", "rougeL"});
  const std::vector<TextScore> scores = metrics.score("a", "");
  EXPECT_FALSE(scores[0].defined);
  EXPECT_FALSE(scores[1].defined);
  EXPECT_EQ(scores[0].f, 0);
  EXPECT_EQ(scores[1].f, 0);
}

}  // namespace
}  // namespace elastikv
