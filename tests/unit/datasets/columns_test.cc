#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "datasets/dataset.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

TEST(Columns, OfJsonLines) {
  const Files files;
  DataOptions options = files.with(
      "a.jsonl",
      R"({"q": "Which?", "pic": "images/a.png", "gold": {"text": ["this", "that"]}, "n": 7}
{"q": "Who?", "pic": null, "gold": {"text": "she"}, "n": 8, "kind": "x"})");
  options.columns = asked("q", "gold.text");
  options.columns->images = {"pic"};
  options.columns->id = "n";
  options.columns->categories = {"kind"};
  const DataSet data = read_data(options);
  EXPECT_EQ(data.format, "columns");
  EXPECT_EQ(ids(data), (Texts{"7", "8"}));
  EXPECT_EQ(answers(data), (Texts{"this", "she"}));
  EXPECT_EQ(data.samples[0].references, (Texts{"this", "that"}));
  EXPECT_EQ(data.samples[0].images.at(0).path, files.at("images/a.png"));
  EXPECT_EQ(data.samples[1].categories, Texts{"x"});
}

TEST(Columns, CategoriesOfATextThatNamesSeveral) {
  const Files files;
  DataOptions options =
      files.with("a.jsonl", R"({"q": "1?", "a": "x", "kind": "ocr, math", "part": "dev"}
{"q": "2?", "a": "x", "kind": ["rec", "ocr,,spat "], "part": "a,b"}
{"q": "3?", "a": "x", "kind": " , ", "part": null})");
  options.columns = asked("q", "a");
  options.columns->categories = {"kind"};
  EXPECT_EQ(read_data(options).samples[0].categories, Texts{"ocr, math"});
  options.columns->category_separator = ",";
  const DataSet data = read_data(options);
  EXPECT_EQ(data.samples[0].categories, (Texts{"ocr", "math"}));
  EXPECT_EQ(data.samples[1].categories, (Texts{"rec", "ocr", "spat"}));
  EXPECT_EQ(data.samples[2].categories, Texts{});
  options.columns->categories = {"kind", "part"};
  EXPECT_EQ(read_data(options).samples[1].categories, (Texts{"rec", "ocr", "spat", "a", "b"}));
  options.columns->categories = {};
  EXPECT_ERROR(
      read_data(options),
      files.message("a.jsonl", "'columns' names no categories, which category_separator parts"));
}

TEST(Columns, OfATableWithBase64) {
  const Files files;
  DataOptions options = files.with("a.tsv",
                                   "nr\tpic\tq\tx\ty\tright\tpart\n"
                                   "1\tdata:image/png;base64,Zmlyc3QgcGljdHVyZQ==\tWhich?\tcat\t"
                                   "dog\t(B)\tdev\n"
                                   "2\t\tWho?\the\t\the\ttest\n");
  options.columns = asked("q", "right");
  options.columns->id = "nr";
  options.columns->images = {"pic"};
  options.columns->options = {"x", "y"};
  DataSet data = read_data(options);
  EXPECT_EQ(ids(data), (Texts{"1", "2"}));
  EXPECT_EQ(answers(data), (Texts{"B. dog", "A. he"}));
  EXPECT_EQ(data.samples[0].options, (Texts{"cat", "dog"}));
  EXPECT_EQ(data.samples[0].images.size(), 1U);
  EXPECT_TRUE(data.samples[1].images.empty());
  options.columns->split = "part";
  options.split = "test";
  data = read_data(options);
  EXPECT_EQ(ids(data), Texts{"2"});
}

TEST(CompressAtContext, IsWhatStandsBeforeAQuestionWhateverIsPutAroundIt) {
  const Files files;
  DataOptions options = files.with(
      "a.jsonl",
      R"({"c": "It rained, mind you.", "q": "Was it wet?", "pic": "images/a.png", "a": "y"}
{"c": " ", "q": "Why?", "pic": null, "a": "z"})");
  options.columns = asked("q", "a");
  options.columns->context = "c";
  options.columns->images = {"pic"};
  const auto contexts = [&] {
    Texts texts;
    for (const Sample& sample : read_data(options).samples)
      texts.push_back(sample.question.substr(0, sample.context_length));
    return texts;
  };
  EXPECT_EQ(contexts(), (Texts{"It rained, mind you.\n", ""}));
  options.question_before = "Read: ";
  options.question_after = " Say.";
  EXPECT_EQ(contexts(), (Texts{"Read: It rained, mind you.\n", ""}));
  options.question_remove = ", mind you";  // of questions, not of what they are about
  EXPECT_EQ(contexts(), (Texts{"Read: It rained, mind you.\n", ""}));
  options.image_place = "before";
  EXPECT_EQ(contexts(), (Texts{"<image>\nRead: It rained, mind you.\n", ""}));
}

TEST(Columns, ProblemsOfRows) {
  const Files files;
  DataOptions options = files.with("a.json", R"([
    {"q": "Which?", "a": "z", "o": ["x", "y"]}, {"q": "Which?", "a": 2, "o": ["x", "y"]},
    {"q": "Why?", "a": {"b": 1}}, {"q": "", "a": "x"}, {"q": "Who?", "a": "he", "i": 3}])");
  options.columns = asked("q", "a");
  options.columns->options = {"o"};
  options.columns->images = {"i"};
  EXPECT_ERROR(read_data(options), files.message("a.json", R"(5 problems
  malformed items: 4
    item 0 ('0'): the answer 'z' is none of the options A, B
    item 1 ('1'): the answer '2' is none of the options A, B
    item 2 ('2'): 'a' is of type object, a text, a number or a list of them is needed
    item 4 ('4'): 'i' holds a value of type number, an image or its name is needed
  empty texts: 1
    item 3 ('3'): the question is empty)"));
}

TEST(Columns, OptionsThatContradictThem) {
  const Files files;
  DataOptions options = files.with("a.json", R"([{"q": "Which?", "a": "z"}])");
  const auto refused = [&](const std::string& problem) {
    EXPECT_ERROR(read_data(options), files.message("a.json", problem));
  };
  options.columns = asked("q", "");
  refused("'columns' names no answer, which perplexity and the metrics compare with");
  options.needs_answers = false;
  EXPECT_EQ(read_data(options).samples[0].question, "Which?");
  options.columns = asked("", "a");
  refused("'columns' names neither question nor images");
  options.columns = asked("q", "a");
  options.prompt = "Describe.";
  refused("'prompt' is for data without questions, columns.question names some");
  options.prompt = "";
  options.format = "qa";
  refused("'columns' says how the file is read; leave 'format' out");
  options.format = "auto";
  options.columns->question = "Q";
  refused("columns.question is 'Q', no column of the file; did you mean 'q'? It has a and q");
}

}  // namespace
}  // namespace elastikv
