#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "metrics/rouge_google.h"
#include "metrics/rouge_pltrdy.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

/// F values that rouge_score 0.1.2 and rouge 1.0.1 gave, rounded to six digits.
struct Case {
  std::string reference;
  std::string candidate;
  std::array<double, 4> google;   // rouge1, rouge2, rougeL, rougeLsum
  std::array<double, 4> stemmed;  // the same with use_stemmer=True
  std::array<double, 3> pltrdy;   // rouge-1, rouge-2, rouge-l
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases{
      {"The cat sat on the mat.",
       "The cat is on the mat.",
       {.833333, .6, .833333, .833333},
       {.833333, .6, .833333, .833333},
       {.833333, .6, .833333}},
      {"A dog, running quickly; the dogs ran.",
       "Dogs run quickly.",
       {.4, 0, .2, .2},
       {.6, .5, .6, .6},
       {0, 0, 0}},
      {"First sentence.\nSecond Sentence.",
       "Second sentence.\nFirst Sentence.",
       {1, .666667, .5, 1},
       {1, .666667, .5, 1},
       {1, 0, 1}},
      {"don't stop — naïve café 3.14",
       "dont stop naive cafe 314",
       {.153846, 0, .153846, .153846},
       {.153846, 0, .153846, .153846},
       {.166667, 0, .166667}},
      {"The image shows a woman riding a red bicycle down a busy street. She is wearing a helmet "
       "and carrying a backpack.\nThere are cars in the background.",
       "A woman rides a red bike on the street. She wears a helmet.\nSeveral cars are parked in "
       "the "
       "background.",
       {.583333, .260870, .5, .541667},
       {.666667, .391304, .583333, .625},
       {.523810, .217391, .476190}},
      {"a a a b b", "a b a", {.75, .333333, .5, .5}, {.75, .333333, .5, .5}, {1, .4, 1}},
      {"skies dying news innings tried enjoy",
       "sky die news inning try enjoyment",
       {.166667, 0, .166667, .166667},
       {.833333, .6, .833333, .833333},
       {.166667, 0, .166667}},
      {"x</s>", "x", {.666667, 0, .666667, .666667}, {.666667, 0, .666667, .666667}, {0, 0, 0}},
      {"", "abc", {0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0}},
      {"abc", "", {0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0}}};
  return kCases;
}

std::array<double, 4> google_f(const Case& pair, RougeWords words) {
  const GoogleRouge rouge(pair.reference, pair.candidate, words);
  return {rouge.rouge_n(1).f, rouge.rouge_n(2).f, rouge.rouge_l().f, rouge.rouge_lsum().f};
}

TEST(GoogleRouge, GivesThePackagesValues) {
  for (const Case& pair : cases()) {
    const auto plain = google_f(pair, RougeWords::kGoogle);
    const auto stemmed = google_f(pair, RougeWords::kGoogleStem);
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(plain[i], pair.google[i], 5e-7) << pair.reference << ", value " << i;
      EXPECT_NEAR(stemmed[i], pair.stemmed[i], 5e-7) << pair.reference << ", stemmed " << i;
    }
  }
}

TEST(GoogleRouge, PrecisionIsOfTheCandidate) {
  const TextScore score = GoogleRouge("a b c d", "a b x", RougeWords::kGoogle).rouge_n(1);
  EXPECT_DOUBLE_EQ(score.precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(score.recall, 2.0 / 4);
  EXPECT_DOUBLE_EQ(score.f, 4.0 / 7);
}

TEST(GoogleRouge, WordsAreAsciiRunsInLowerCase) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(rouge_words("Café don't 3.14_x", RougeWords::kGoogle),
            (Words{"caf", "don", "t", "3", "14", "x"}));
  EXPECT_EQ(rouge_words("漢字 слово", RougeWords::kGoogle), Words{});
  // Python lowers these two to ASCII: the Kelvin sign to k, I with a dot to i and a combining dot.
  EXPECT_EQ(rouge_words("\u212Aelvin \u0130stanbul", RougeWords::kGoogle),
            (Words{"kelvin", "i", "stanbul"}));
  // Words of three letters are not stemmed.
  EXPECT_EQ(rouge_words("Was runs geese", RougeWords::kGoogleStem), (Words{"was", "run", "gees"}));
}

TEST(RougeWordsTest, OfOtherScripts) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(rouge_words("Ein Äpfel, 3 Cafe\u0301s!", RougeWords::kUnicode),
            (Words{"ein", "äpfel", "3", "cafés"}));
  EXPECT_EQ(rouge_words("红色的猫 sits。ひらカナ", RougeWords::kUnicode),
            (Words{"红", "色", "的", "猫", "sits", "ひ", "ら", "カ", "ナ"}));
  EXPECT_EQ(rouge_words("Слово दो", RougeWords::kUnicode), (Words{"слово", "दो"}));
  EXPECT_EQ(rouge_words("Ab 猫。", RougeWords::kCharacters), (Words{"a", "b", "猫"}));
  EXPECT_EQ(rouge_words("… — 😀", RougeWords::kUnicode), Words{});
  EXPECT_EQ(rouge_words("a\xff\xfe b", RougeWords::kUnicode), (Words{"a", "b"}));
}

TEST(RougeWordsTest, SentencesEndAtMarks) {
  using Lines = std::vector<std::vector<std::string>>;
  const auto split = [](const char* text) {
    return rouge_sentences(text, RougeWords::kGoogle, RougeSentences::kMarks);
  };
  EXPECT_EQ(split("One cat. Two \"dogs!\" Three 3.5 e.g.this?"),
            (Lines{{"one", "cat"}, {"two", "dogs"}, {"three", "3", "5", "e", "g", "this"}}));
  EXPECT_EQ(split("a...\n\nb"), (Lines{{"a"}, {"b"}}));
  EXPECT_EQ(rouge_sentences("猫。犬！", RougeWords::kUnicode, RougeSentences::kMarks),
            (Lines{{"猫"}, {"犬"}}));
  EXPECT_EQ(rouge_sentences("One. Two.\nThree", RougeWords::kGoogle, RougeSentences::kLines),
            (Lines{{"one", "two"}, {"three"}}));
}

TEST(GoogleRouge, NgramsLongerThanTheTextScoreZero) {
  const GoogleRouge rouge("a b c", "a b c", RougeWords::kGoogle);
  EXPECT_EQ(rouge.rouge_n(3).f, 1);
  EXPECT_EQ(rouge.rouge_n(4).f, 0);
  EXPECT_EQ(rouge.rouge_n(9).f, 0);
  EXPECT_THROW(rouge.rouge_n(0), InternalError);
  EXPECT_THROW(rouge.rouge_n(10), InternalError);
}

TEST(PltrdyRouge, GivesThePackagesValues) {
  for (const Case& pair : cases()) {
    const PltrdyRouge rouge(pair.reference, pair.candidate);
    EXPECT_NEAR(rouge.rouge_n(1).f, pair.pltrdy[0], 5e-7) << pair.reference;
    EXPECT_NEAR(rouge.rouge_n(2).f, pair.pltrdy[1], 5e-7) << pair.reference;
    EXPECT_NEAR(rouge.rouge_l().f, pair.pltrdy[2], 5e-7) << pair.reference;
  }
}

TEST(PltrdyRouge, EqualTextsScoreJustBelowOne) {
  const PltrdyRouge rouge("The cat sat.</s>", "The cat sat.</s>");
  EXPECT_NEAR(rouge.rouge_l().f, 0.999999995, 1e-12);
  EXPECT_EQ(rouge.rouge_l().precision, 1);
}

TEST(PltrdyRouge, EmptyTextsAreMarkedOrErrors) {
  for (const char* empty : {"", ".", "..."}) {
    EXPECT_FALSE(PltrdyRouge("a", empty).rouge_l().defined);
    EXPECT_FALSE(PltrdyRouge(empty, "a").rouge_n(1).defined);
    EXPECT_EQ(PltrdyRouge(empty, "a").rouge_n(1).f, 0);
    EXPECT_ERROR(
        PltrdyRouge("a", empty, EmptyText::kError),
        "the candidate text is empty or holds only full stops, where rouge 1.0.1 gives no score");
    EXPECT_ERROR(
        PltrdyRouge(empty, "a", EmptyText::kError),
        "the reference text is empty or holds only full stops, where rouge 1.0.1 gives no score");
  }
  // White space between full stops is a sentence of one empty word: a score, and even a match.
  EXPECT_TRUE(PltrdyRouge("a", " . ", EmptyText::kError).rouge_l().defined);
  EXPECT_EQ(PltrdyRouge("a", " . ").rouge_l().f, 0);
  EXPECT_EQ(PltrdyRouge("a. ", " . ").rouge_l().precision, 1);
}

TEST(PltrdyRouge, LongSentencesDoNotOverflow) {
  // The package walks back by recursion and overflows here; the answer is still defined.
  std::string text;
  for (int word = 0; word < 3000; ++word) text += fmt::format("w{} ", word);
  EXPECT_NEAR(PltrdyRouge(text, text).rouge_l().f, 0.999999995, 1e-12);
}

}  // namespace
}  // namespace elastikv
