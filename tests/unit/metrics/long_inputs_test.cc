// Metrics of long inputs where a question cannot be judged, and what choosing between rules goes
// by.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "metrics/python_dict.h"
#include "metrics/sequence_matcher.h"
#include "metrics/text_metrics.h"

namespace elastikv {
namespace {

TextScore score(const std::string& metric, const std::string& text, const Question& question) {
  return TextMetrics({metric}).score_answer(question, text).front();
}

Question asks(const std::vector<std::string>& answers) {
  return {.answer = answers.front(), .references = answers};
}

TEST(LongInputs, RulerTakesAnyAnswerOfQuestionsAboutDocuments) {
  Question question = asks({"Paris", "the city of Paris"});
  question.categories = {"niah_multivalue"};
  EXPECT_EQ(score("ruler", "It is PARIS.", question).f, 0.5);
  question.categories = {"qa_1"};
  EXPECT_EQ(score("ruler", "It is PARIS.", question).f, 1);
}

TEST(LongInputs, WhatCannotBeJudgedIsNotDefined) {
  EXPECT_FALSE(score("classification-longbench", "Food", asks({"Food"})).defined);
  EXPECT_FALSE(score("retrieval-longbench", "3", asks({"3"})).defined);
  EXPECT_FALSE(score("choice-longbench-v2", "The correct answer is A", asks({"Paris"})).defined);
  EXPECT_FALSE(score("infinitebench-code-run", "3", asks({"three"})).defined);
  EXPECT_FALSE(score("infinitebench-math-find", "3", asks({"three"})).defined);
  Question options = asks({"red"});
  options.options = {"blue", "green"};
  for (const char* metric : {"infinitebench-choice", "scbench-choice", "mm-niah",
                             "milebench-choice", "infinitebench-code-debug"})
    EXPECT_FALSE(score(metric, "A", options).defined) << metric;
}

TEST(LongInputs, OptionsMayBeMoreThanLetters) {
  Question question = asks({"class 30"});
  for (int i = 0; i < 40; ++i) question.options.push_back("class " + std::to_string(i));
  EXPECT_EQ(score("milebench-choice", "class 30", question).f, 0);  // "class 3" stands there
  question.options.erase(question.options.begin() + 3);
  EXPECT_EQ(score("milebench-choice", "class 30", question).f, 1);
}

TEST(LongInputs, DictionariesAreReadAsPythonReadsThem) {
  EXPECT_EQ(parse_text_dict("{'a': 'b', \"c\": 'd' 'e',}")->at("c"), "de");
  EXPECT_TRUE(parse_text_dict("{}")->empty());
  for (const char* text : {"", "{", "{'a'}", "{'a': 1}", "{'a': 'b'} x", "\n {}", "{'a': 'b' 'c}"})
    EXPECT_FALSE(parse_text_dict(text).has_value()) << text;
}

TEST(LongInputs, FrequentCharactersBeginNoBlock) {
  EXPECT_EQ(sequence_ratio(U"", U""), 1);
  EXPECT_EQ(sequence_ratio(U"abcd", U"bcde"), 0.75);
  // Python: SequenceMatcher(None, "b" + "a" * 9, "a" * 200).ratio() is 0, of 199 it is not.
  const std::u32string text = U"b" + std::u32string(9, U'a');
  EXPECT_EQ(sequence_ratio(text, std::u32string(200, U'a')), 0);
  EXPECT_NEAR(sequence_ratio(text, std::u32string(199, U'a')), 18.0 / 209, 1e-12);
}

}  // namespace
}  // namespace elastikv
