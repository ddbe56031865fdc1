// Data of long inputs: a context before the question, what the answer begins with, and the formats
// of MM-NIAH and MileBench.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "datasets/dataset.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

/// Rows with a document, read by parts of a prompt.
DataOptions documents(const Files& files) {
  DataOptions options =
      files.with("a.jsonl", R"({"doc": "A cat.", "ask": [{"q": "Who?", "o": ["x", "y"]}], )"
                            R"("a": ["cat", "a cat"], "n": 7, "c": ["cat", "dog"]}
{"doc": [1, 2], "ask": [{"q": "What?"}], "a": 5, "n": null, "c": null})");
  options.columns.emplace().answer = "a";
  options.columns->max_new_tokens = "n";
  options.columns->classes = "c";
  options.parts = PromptParts{.context = "Read {doc}\n",
                              .question = "{{{ask.0.q}}} {ask.0.o.1}",
                              .answer_prefix = "So, {ask.0.q}"};
  return options;
}

TEST(PromptParts, AreFilledWithColumns) {
  const Files files;
  DataOptions options = documents(files);
  options.max_new_tokens = 3;
  const DataSet data = read_data(options);
  const Sample& first = data.samples.at(0);
  EXPECT_EQ(first.question, "Read A cat.\n{Who?} y");
  EXPECT_EQ(first.question.substr(0, first.context_length), "Read A cat.\n");
  EXPECT_EQ(first.answer_prefix, "So, Who?");
  EXPECT_EQ(first.answer, "cat");
  EXPECT_EQ(first.votes, (Texts{"cat", "a cat"}));
  EXPECT_EQ(first.options, (Texts{"cat", "dog"}));  // for metrics: the question does not show them
  EXPECT_EQ(first.max_new_tokens, 7);
  const Sample& second = data.samples.at(1);
  EXPECT_EQ(second.question, "Read [1, 2]\n{What?} ");
  EXPECT_EQ(second.max_new_tokens, 3);
}

TEST(PromptParts, KeepTheContextApartFromWhatIsPutAround) {
  const Files files;
  DataOptions options = documents(files);
  options.question_before = "Now. ";
  options.question_after = " Say it.";
  options.question_remove = "cat";
  const Sample sample = read_data(options).samples.at(0);
  EXPECT_EQ(sample.question.substr(0, sample.context_length), "Now. Read A cat.\n");
  EXPECT_EQ(sample.question.substr(sample.context_length), "{Who?} y Say it.");
}

TEST(PromptParts, BelongToWhatASampleIs) {
  const Files files;
  DataOptions options = documents(files);
  const std::string content = read_data(options).samples.at(0).content;
  const auto changed = [&](auto change) {
    DataOptions other = options;
    change(other);
    return read_data(other).samples.at(0).content != content;
  };
  EXPECT_FALSE(changed([](DataOptions&) {}));
  EXPECT_TRUE(changed([](DataOptions& other) { other.parts->answer_prefix = "So"; }));
  // Where a text ends, and which part of the same text is the context, belong to a record's key.
  EXPECT_FALSE(changed([](DataOptions& other) { other.columns->max_new_tokens.clear(); }));
  EXPECT_FALSE(changed([](DataOptions& other) {
    other.parts->context = "Read ";
    other.parts->question = "{doc}\n" + other.parts->question;
  }));
}

TEST(PromptParts, ProblemsAreNamed) {
  const Files files;
  DataOptions options = documents(files);
  options.parts->question = "{asks}";
  EXPECT_ERROR(read_data(options),
               files.message("a.jsonl",
                             "prompt_parts names 'asks', no column of the file; did you "
                             "mean 'ask'? It has a, ask, c, doc and n"));
  options = documents(files);
  options.columns->question = "doc";
  EXPECT_ERROR(read_data(options), files.message("a.jsonl",
                                                 "'prompt_parts' writes the question; leave "
                                                 "columns.question and columns.context out"));
  options = files.with("b.jsonl", R"({"q": "Who?", "a": "x", "n": 0}
{"q": "Who?", "a": "x", "n": "many"})");
  options.columns.emplace().question = "q";
  options.columns->answer = "a";
  options.columns->max_new_tokens = "n";
  EXPECT_ERROR(read_data(options), files.message("b.jsonl", R"(2 problems
  malformed items: 2
    line 1 ('0'): 'n' is 0, a number of tokens from 1 is needed
    line 2 ('1'): 'n' is "many", a number of tokens from 1 is needed)"));
}

TEST(MmNiah, AsksAsTheBenchmarkDoes) {
  const Files files;
  const DataSet data = read_data(files.with(
      "retrieval.jsonl",
      R"({"id": 0, "images_list": ["images/a.png"], "context": "A <image> cat.", "question": "Who?", "answer": "Puss", "meta": {"choices": null, "choices_image_path": null}}
{"id": 1, "images_list": [], "context": "A cat.", "question": "Who?", "answer": 1, "meta": {"choices": ["Tom", "Puss"]}}
{"id": 2, "images_list": ["images/a.png"], "context": "<image>", "question": "Which?", "answer": 1, "meta": {"choices_image_path": ["images/a.png", "images/b.png"]}}
{"id": 3, "images_list": [], "context": "Cats.", "question": "How many?", "answer": [2, 0], "meta": {}})"));
  EXPECT_EQ(data.format, "mm-niah");
  const std::vector<Sample>& samples = data.samples;
  EXPECT_EQ(samples[0].question,
            "A <image> cat.\nWho?\nAnswer the question using a single word or phrase.");
  EXPECT_EQ(samples[0].question.substr(0, samples[0].context_length), "A <image> cat.\n");
  EXPECT_EQ(samples[1].question,
            "A cat.\nWho?\nA. Tom\nB. Puss\nAnswer with the option's letter "
            "from the given choices directly.");
  EXPECT_EQ(samples[2].question,
            "<image>\nWhich?\nA. <image>\nB. <image>\nAnswer with the "
            "option's letter from the given choices directly.");
  EXPECT_EQ(samples[2].images.size(), 3U);
  EXPECT_EQ(samples[2].options.size(), 2U);
  EXPECT_EQ(answers(data), (Texts{"Puss", "B. Puss", "B", "[2,0]"}));
}

TEST(MmNiah, ProblemsAreNamed) {
  const Files files;
  EXPECT_ERROR(
      read_data(files.with(
          "a.jsonl",
          R"({"id": 0, "images_list": [], "context": "x", "question": "y", "answer": 2, "meta": {"choices": ["a", "b"]}}
{"id": 1, "images_list": "a.png", "context": "x", "question": "y", "answer": "z", "meta": {}}
{"id": 2, "images_list": [], "context": "x", "question": "y", "meta": {}})")),
      files.message("a.jsonl", R"(3 problems
  malformed items: 3
    line 1 ('0'): 'answer' is 2, a place among 2 choices from 0 is needed
    line 2 ('1'): 'images_list' is no list of texts
    line 3 ('2'): 'answer' is missing)"));
}

TEST(MileBench, WritesInstructionImagesAndChoices) {
  const Files files;
  DataOptions options = files.with("StateChange.json", R"({"meta_data": {"task_instruction":
      ["Look.", "Read."], "question_type": "multi-choice"}, "data": [
      {"sample_id": 4, "task_instruction_id": 1, "response": "a dog", "task_instance": {"context":
       "{image#1} then {table#2}. What?", "images_path": ["a.png", "b.png"],
       "choice_list": ["a cat", "a dog"]}},
      {"sample_id": 5, "task_instruction_id": 0, "response": 58, "task_instance": {"context":
       "Which?", "images_path": []}}]})");
  DataSet data = read_data(options);
  EXPECT_EQ(data.format, "milebench");
  EXPECT_EQ(ids(data), (Texts{"4", "5"}));
  EXPECT_EQ(data.samples[0].question,
            "Read.\n<image> then <image>. What?\nChoice list: \nA. a "
            "cat\nB. a dog\nYour answer is: ");
  EXPECT_EQ(data.samples[0].images.at(1).path, files.at("images/b.png"));
  EXPECT_EQ(data.samples[0].options, (Texts{"a cat", "a dog"}));
  EXPECT_EQ(data.samples[1].question, "Look.\nWhich?");
  EXPECT_EQ(answers(data), (Texts{"a dog", "58"}));
}

TEST(MileBench, ProblemsAreNamed) {
  const Files files;
  EXPECT_ERROR(read_data(files.with("a.json", R"({"meta_data": {"task_instruction": ["Look."]},
      "data": [{"sample_id": 1, "task_instruction_id": 1, "response": "x", "task_instance":
      {"context": "Who?", "images_path": []}}, {"sample_id": 2, "task_instruction_id": 0,
      "task_instance": {"context": "Who?", "images_path": []}}]})")),
               files.message("a.json", R"(2 problems
  malformed items: 2
    data[0] ('1'): 'task_instruction_id' is 1, a place among 1 instructions is needed
    data[1] ('2'): 'response' is missing, or no text)"));
}

}  // namespace
}  // namespace elastikv
