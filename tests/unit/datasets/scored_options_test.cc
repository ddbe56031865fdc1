// Questions that are answered by the likelihoods of their options.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "datasets/dataset.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

class ScoredOptions : public testing::Test {
 protected:
  /// A table with the columns q, w (the right option), A, B and C.
  DataOptions table(const std::string& rows) const {
    DataOptions options = files_.with("a.tsv", "q\tw\tA\tB\tC\n" + rows);
    options.columns = asked("q", "w");
    options.columns->options = {"A", "B", "C"};
    options.answer_by = AnswerBy::kLikelihood;
    return options;
  }
  static Texts scored(const Sample& sample) {
    Texts texts;
    for (const ScoredOption& option : sample.scored_options)
      texts.push_back(std::string(1, option.letter) + "=" + option.text);
    return texts;
  }

  Files files_;
};

TEST_F(ScoredOptions, AreTheLetterTheTextOrBoth) {
  DataOptions options = table("Which?\tB\tcat\tdog\tcow\nWho?\tA\the\tshe\t\n");
  DataSet data = read_data(options);
  EXPECT_EQ(scored(data.samples[0]), (Texts{"A=A. cat", "B=B. dog", "C=C. cow"}));
  EXPECT_EQ(scored(data.samples[1]), (Texts{"A=A. he", "B=B. she"})) << "nothing behind the last";
  EXPECT_EQ(data.samples[0].answer, "B. dog");
  EXPECT_TRUE(data.samples[0].question.ends_with(
      "\nC. cow\nAnswer with the option's letter and its text."));

  options.option_text = OptionText::kLetter;
  data = read_data(options);
  EXPECT_EQ(scored(data.samples[0]), (Texts{"A=A", "B=B", "C=C"}));
  EXPECT_TRUE(data.samples[0].question.ends_with("\nC. cow\nAnswer with the option's letter."));

  options.option_text = OptionText::kText;
  data = read_data(options);
  EXPECT_EQ(scored(data.samples[0]), (Texts{"A=cat", "B=dog", "C=cow"}));
  EXPECT_TRUE(data.samples[0].question.ends_with("\nC. cow\nAnswer with the option's text."));

  options.question_after = "\nChoose!";
  EXPECT_TRUE(read_data(options).samples[0].question.ends_with("\nC. cow\nChoose!"));

  options.answer_by.reset();
  EXPECT_TRUE(read_data(options).samples[0].scored_options.empty());
}

TEST_F(ScoredOptions, HaveToLeaveAChoice) {
  DataOptions options = table("Which?\tA\tcat\t\tcow\nWho?\tA\the\t\t\nWhat?\tB\tthis\tthat\t\n");
  EXPECT_ERROR(read_data(options),
               files_.message("a.tsv",
                              "2 problems\n  options that leave no choice: 2\n    line 2 ('0'): "
                              "option B is empty\n    line 3 ('1'): the question has one option: "
                              "there is nothing to choose"));
  options.on_problem = OnProblem::kRecord;
  const DataSet data = read_data(options);
  EXPECT_EQ(data.samples[0].problem, "option B is empty");
  EXPECT_EQ(data.samples[1].problem, "the question has one option: there is nothing to choose");
  EXPECT_EQ(data.samples[2].problem, "");
  EXPECT_EQ(scored(data.samples[2]), (Texts{"A=A. this", "B=B. that"}));
  EXPECT_EQ(data.samples[0].options, (Texts{"cat", "", "cow"})) << "a letter stays its option's";
}

TEST_F(ScoredOptions, AreThereAtAll) {
  DataOptions options = files_.with("b.jsonl", R"({"id": "x", "question": "q", "answer": "a"})");
  options.answer_by = AnswerBy::kLikelihood;
  EXPECT_ERROR(
      read_data(options),
      files_.message("b.jsonl",
                     "answer_by is likelihood, which scores the options of a question, and "
                     "none of the questions has any; columns.options names where they "
                     "stand"));
}

}  // namespace
}  // namespace elastikv
