// Data of several questions about one context.
#include "datasets/contexts.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "datasets/dataset.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

constexpr const char* kScenes =
    R"({"id": "kitchen", "image": "a.png", "questions": ["What stands there?", "Which colour?"], )"
    R"("answers": ["a pot", ["red", "dark red"]], "category": "home"}
{"id": "deed", "context": "Ann sold it to Bob.", "questions": [{"question": "Who bought it?", )"
    R"("answer": "Bob", "category": "names"}, {"question": "Who sold it?", "answer": 5}]}
{"id": "both", "images": ["a.png", "b.png"], "context": "<image> before, <image> after.", )"
    R"("questions": ["What is new?"], "answers": ["a cat"]}
)";

TEST(Contexts, MakeASampleOfEachQuestion) {
  const Files files;
  const DataSet data = read_data(files.with("scenes.jsonl", kScenes));
  EXPECT_EQ(data.format, "contexts");
  EXPECT_EQ(ids(data), (Texts{"kitchen#1", "kitchen#2", "deed#1", "deed#2", "both#1"}));
  EXPECT_EQ(answers(data), (Texts{"a pot", "red", "Bob", "5", "a cat"}));
  EXPECT_EQ(data.samples[0].question, "What stands there?");
  EXPECT_EQ(data.samples[0].context_length, 0U);
  EXPECT_EQ(data.samples[0].images, data.samples[1].images);
  EXPECT_EQ(data.samples[0].categories, Texts{"home"});
  EXPECT_EQ(data.samples[1].accepted(), (Texts{"red", "dark red"}));
  EXPECT_EQ(data.samples[2].question, "Ann sold it to Bob.\nWho bought it?");
  EXPECT_EQ(data.samples[2].question.substr(data.samples[2].context_length), "Who bought it?");
  EXPECT_EQ(data.samples[2].categories, Texts{"names"});
  EXPECT_EQ(data.samples[4].images.size(), 2U);
  EXPECT_EQ(data.samples[2].cluster, data.samples[3].cluster);
  EXPECT_NE(data.samples[2].cluster, data.samples[0].cluster);
}

TEST(Contexts, GoOnUnderTheirId) {
  const Files files;
  const DataSet data = read_data(
      files.with("a.jsonl", R"({"id": "x", "image": "a.png", "questions": ["q"], "answers": ["a"]}
{"id": "x", "image": "a.png", "questions": ["r"], "answers": ["b"]}
{"id": "x", "image": "a.png", "questions": ["s"], "answers": ["c"]})"));
  EXPECT_EQ(ids(data), (Texts{"x#1", "x#2", "x#3"}));
}

TEST(Contexts, UnderOneIdAreOneContext) {
  const Files files;
  EXPECT_ERROR(read_data(files.with(
                   "a.jsonl", R"({"id": "x", "image": "a.png", "questions": ["q"], "answers": ["a"]}
{"id": "x", "image": "b.png", "questions": ["r"], "answers": ["b"]})")),
               files.message("a.jsonl",
                             "line 2 ('x'): names other images than line 1, which is the same "
                             "context by its id"));
  EXPECT_ERROR(
      read_data(files.with("b.jsonl",
                           R"({"id": "x", "context": "One.", "questions": ["q"], "answers": ["a"]}
{"id": "x", "context": "Two.", "questions": ["r"], "answers": ["b"]})")),
      files.message("b.jsonl",
                    "line 2 ('x'): has another text than line 1, which is the same "
                    "context by its id"));
  // Recorded, it is the second one's samples that fail.
  DataOptions options =
      files.with("c.jsonl", R"({"id": "x", "image": "a.png", "questions": ["q"], "answers": ["a"]}
{"id": "x", "image": "b.png", "questions": ["r", "s"], "answers": ["b", "c"]})");
  options.on_problem = OnProblem::kRecord;
  const DataSet data = read_data(options);
  EXPECT_EQ(ids(data), (Texts{"x#1", "x#2", "x#3"}));
  EXPECT_EQ(data.samples[0].problem, "");
  EXPECT_NE(data.samples[1].problem, "");
  EXPECT_NE(data.samples[2].problem, "");
}

TEST(Contexts, ProblemsAreNamed) {
  const Files files;
  const auto problem = [&](const std::string& item, const std::string& said) {
    DataOptions options = files.with("a.jsonl", item + "\n");
    options.format = "contexts";
    EXPECT_ERROR(read_data(options), files.message("a.jsonl", said));
  };
  problem(R"({"id": "x", "image": "a.png", "questions": []})",
          "line 1 ('x'): 'questions' is no list of at least one");
  problem(R"({"id": "x", "image": "a.png", "questions": ["q", "r"], "answers": ["a"]})",
          "line 1 ('x'): 'answers' has 1 for 2 questions");
  problem(R"({"id": "x", "image": "a.png", "questions": ["q"], "answers": "a"})",
          "line 1 ('x'): 'answers' is of type string, a list with one for each question is needed");
  problem(R"({"id": "x", "image": "a.png", "questions": ["q", 5], "answers": ["a", "b"]})",
          "line 1 ('x'): questions[1] is of type number, a text or an object is needed");
  problem(R"({"id": "x", "image": "a.png", "questions": ["q"]})",
          "line 1 ('x#1'): 'answer' is missing");
  problem(R"({"id": "x", "context": 5, "questions": ["q"], "answers": ["a"]})",
          "line 1 ('x'): 'context' is of type number, a string is needed");
  DataOptions unanswered =
      files.with("b.jsonl", R"({"id": "x", "image": "a.png", "questions": ["q", "r"]})");
  unanswered.needs_answers = false;
  EXPECT_EQ(read_data(unanswered).samples.size(), 2U);
}

TEST(Contexts, AreKnownByImagesAndText) {
  const Files files;
  const DataSet data = read_data(files.with("scenes.jsonl", kScenes));
  EXPECT_EQ(context_numbers(data.samples), (std::vector<size_t>{0, 0, 1, 1, 2}));
  // Whatever the format: a question without either is a context of its own.
  const DataSet pairs =
      read_data(files.with("pairs.jsonl", R"({"image": "a.png", "question": "q", "answer": "a"}
{"question": "q", "answer": "a"}
{"image": "b.png", "question": "q", "answer": "a"}
{"image": "a.png", "question": "r", "answer": "b"}
{"question": "q", "answer": "a"})"));
  EXPECT_EQ(context_numbers(pairs.samples), (std::vector<size_t>{0, 1, 2, 0, 3}));
}

}  // namespace
}  // namespace elastikv
