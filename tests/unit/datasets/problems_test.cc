#include "datasets/problems.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

TEST(ProblemsReport, ShowsFiveOfAKindAndCountsAll) {
  Problems problems("d.json");
  problems.refuse_if_any();
  Draft draft;
  draft.where = "item 7 ('x')";
  for (int i = 0; i < 12; ++i) {
    draft.sample.problem.clear();
    problems.add(ProblemKind::kMissingImage, draft, "no image " + std::to_string(i) + ".png");
  }
  EXPECT_FALSE(problems.of_file());
  problems.add(ProblemKind::kRepeatedId, "item 9 ('y'): the id is used before");
  EXPECT_TRUE(problems.of_file());
  problems.add_line(ProblemKind::kSyntax, 3, "not valid JSON");
  EXPECT_ERROR(problems.refuse_if_any(),
               "d.json: 14 problems\n"
               "  malformed lines: 1\n"
               "    line 3: not valid JSON\n"
               "  repeated ids: 1\n"
               "    item 9 ('y'): the id is used before\n"
               "  missing images: 12\n"
               "    item 7 ('x'): no image 0.png\n"
               "    item 7 ('x'): no image 1.png\n"
               "    item 7 ('x'): no image 2.png\n"
               "    item 7 ('x'): no image 3.png\n"
               "    item 7 ('x'): no image 4.png\n"
               "    and 7 more");
}

TEST(ProblemsReport, OneAloneIsOneLine) {
  Problems problems("d.json");
  Draft draft;
  draft.where = "item 7 ('x')";
  problems.add(ProblemKind::kEmptyText, draft, "the answer is empty");
  EXPECT_EQ(draft.sample.problem, "the answer is empty");
  EXPECT_ERROR(problems.refuse(), "d.json: item 7 ('x'): the answer is empty");
  Problems line("d.jsonl");
  line.add_line(ProblemKind::kSyntax, 3, "not valid JSON");
  EXPECT_ERROR(line.refuse(), "d.jsonl:3: not valid JSON");
}

TEST(ProblemsReport, TakesOverThoseOfAnotherFile) {
  Problems problems("q.jsonl");
  Problems answers("a.jsonl");
  for (int line = 1; line <= 7; ++line)
    answers.add_line(ProblemKind::kSyntax, line, "not valid JSON");
  answers.add(ProblemKind::kAnswers, "line 9: 'question_id' is missing");
  problems.add_line(ProblemKind::kSyntax, 2, "not valid JSON");
  problems.add_all(answers);
  EXPECT_TRUE(problems.of_file());
  EXPECT_ERROR(problems.refuse(),
               "q.jsonl: 9 problems\n"
               "  malformed lines: 8\n"
               "    line 2: not valid JSON\n"
               "    a.jsonl:1: not valid JSON\n"
               "    a.jsonl:2: not valid JSON\n"
               "    a.jsonl:3: not valid JSON\n"
               "    a.jsonl:4: not valid JSON\n"
               "    and 3 more\n"
               "  answers that do not fit their questions: 1\n"
               "    a.jsonl: line 9: 'question_id' is missing");
}

TEST(ProblemsOfData, StructureAndImagesAreInOneReport) {
  const Files files;
  const std::string folder = files.folder.path().string();
  EXPECT_ERROR(
      read_data(files.with("d.json", R"([
        {"id": "a", "image": "gone.png", "question": "q", "answer": " "},
        {"id": "b", "image": "images/a.png", "question": "<image> and <image>", "answer": "x"},
        {"id": "c", "image": "", "question": "<image>", "answer": true},
        {"id": "", "image": "a.png", "question": "q", "answer": "x"}])")),
      files.message("d.json",
                    "6 problems\n"
                    "  malformed items: 2\n"
                    "    item 2 ('c'): 'image' is empty\n"
                    "    item 2 ('c'): 'answer' is of type boolean, a string is needed\n"
                    "  unusable ids: 1\n"
                    "    item 3: 'id' is \"\", a string or an integer is needed\n"
                    "  empty texts: 1\n"
                    "    item 0 ('a'): the answer is empty\n"
                    "  places of images that do not fit the images: 1\n"
                    "    item 1 ('b'): the question has <image> 2 times, the item names 1 image\n"
                    "  missing images: 1\n"
                    "    item 0 ('a'): no image " +
                        folder + "/gone.png; also looked in " + folder + "/images"));
}

TEST(ProblemsOfData, NumbersAreAnswersInEveryForm) {
  const Files files;
  const DataSet data = read_data(files.with("d.json", R"([
    {"question": "q", "answer": 3}, {"question": "q", "answer": -0.5},
    {"question": "q", "answer": [4, "four"]}])"));
  EXPECT_EQ(data.samples[0].answer, "3");
  EXPECT_EQ(data.samples[1].answer, "-0.5");
  EXPECT_EQ(data.samples[2].references, (Texts{"4", "four"}));
}

TEST(ProblemsOfData, MmVet) {
  const Files files;
  EXPECT_ERROR(read_data(files.with("m.json", R"({
    "v1_0": {"imagename": "a.png", "question": "q", "answer": "x"},
    "v1_1": {"imagename": "a.png", "question": "q"},
    "v1_0": {"imagename": "b.png", "question": "q", "answer": "y"},
    "v1_2": "text",
    "v1_3": {"imagename": 4, "question": "q", "answer": ""}})")),
               files.message("m.json",
                             "5 problems\n"
                             "  malformed items: 3\n"
                             "    entry 'v1_2': is of type string, an object is needed\n"
                             "    entry 'v1_1': 'answer' is missing\n"
                             "    entry 'v1_3': 'imagename' is of type number, a string is needed\n"
                             "  repeated ids: 1\n"
                             "    entry 'v1_0': the id is used before\n"
                             "  empty texts: 1\n"
                             "    entry 'v1_3': the answer is empty"));
  EXPECT_ERROR(read_data(files.with("m.json", "{\n \"v1_0\": {\"imagename\": \"a.png\",\n")),
               files.at("m.json") +
                   ":3:1: not valid JSON: unexpected end of input; expected string literal");
}

TEST(ProblemsOfData, QuestionsAndTheirAnswers) {
  const Files files;
  DataOptions options =
      files.with("q.jsonl", R"({"question_id": 1, "image": "a.png", "text": "q"})"
                            "\n"
                            R"({"question_id": "2", "image": "a.png", "text": "q"})"
                            "\n"
                            R"({"question_id": 3, "image": "a.png", "text": 5})"
                            "\n"
                            R"({"question_id": 4, "image": "a.png", "text": "q"})"
                            "\n"
                            R"({"question_id": 5, "image": "a.png", "text": "q"})");
  options.answers = files.folder.write("answers.jsonl", R"({"question_id": 2, "text": "x"})"
                                                        "\n"
                                                        R"({"question_id": 9, "text": "x"})"
                                                        "\n"
                                                        R"({"question_id": 2, "text": "y"})"
                                                        "\n"
                                                        R"({"text": "y"})"
                                                        "\n"
                                                        R"({"question_id": 3, "text": "y"})"
                                                        "\n"
                                                        R"({"question_id": 4, "text": " "})"
                                                        "\n"
                                                        R"({"question_id": 5})"
                                                        "\n"
                                                        "oh\n");
  const std::string answers = files.at("answers.jsonl");
  EXPECT_ERROR(
      read_data(options),
      files.message("q.jsonl",
                    "8 problems\n"
                    "  malformed lines: 1\n"
                    "    " +
                        answers +
                        ":8: not valid JSON: column 1: invalid literal\n"
                        "  malformed items: 2\n"
                        "    line 3 ('3'): 'text' is of type number, a string is needed\n"
                        "    line 5 ('5'): " +
                        answers +
                        ": line 7: 'text' is missing\n"
                        "  repeated ids: 1\n"
                        "    " +
                        answers +
                        ": line 3: question 2 is answered before\n"
                        "  answers that do not fit their questions: 3\n"
                        "    line 1 ('1'): no answer in " +
                        answers +
                        "\n"
                        "    " +
                        answers +
                        ": line 4: 'question_id' is missing\n"
                        "    " +
                        answers + ": line 2: answers question 9, which " + files.at("q.jsonl") +
                        " has not\n"
                        "  empty texts: 1\n"
                        "    line 4 ('4'): the answer is empty"));
  options.answers = files.at("gone.jsonl");
  EXPECT_ERROR(read_data(options),
               files.at("gone.jsonl") + ": cannot open: No such file or directory");
  options.answers = files.folder.write("answers.tsv", "question_id\ttext\n");
  EXPECT_ERROR(read_data(options),
               files.at("answers.tsv") + ": holds no JSON lines of question_id and text");
}

TEST(ProblemsOfData, CocoCaptions) {
  const Files files;
  EXPECT_ERROR(read_data(files.with("c.json", R"({
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2}, {"file_name": "b.png"},
               {"id": 4, "file_name": "b.png"}, {"id": 1, "file_name": "b.png"},
               {"id": 5, "file_name": "gone.png"}],
    "annotations": [{"image_id": 1, "caption": "c"}, {"image_id": 7, "caption": "c"},
                    {"caption": "c"}, {"image_id": 2, "caption": "c"},
                    {"image_id": 5, "caption": null}]})")),
               files.message("c.json",
                             "8 problems\n"
                             "  malformed items: 4\n"
                             "    images[1] ('2'): 'file_name' is missing\n"
                             "    images[2]: an object with 'id' is needed\n"
                             "    annotations[2]: an object with 'image_id' is needed\n"
                             "    images[5] ('5'): annotations[4]: 'caption' is missing\n"
                             "  repeated ids: 1\n"
                             "    images[4] ('1'): the id is used before, and captions name their "
                             "image by it\n"
                             "  empty texts: 1\n"
                             "    images[3] ('4'): the image has no caption\n"
                             "  references to images that are not there: 1\n"
                             "    annotations[1]: image_id 7 is not among the images\n"
                             "  missing images: 1\n"
                             "    images[5] ('5'): no image " +
                                 files.at("gone.png") + "; also looked in " + files.at("images")));
  EXPECT_ERROR(read_data(files.with("c.json", R"({"images": [], "annotations": []})")),
               files.message("c.json", "the file holds no items"));
  EXPECT_ERROR(
      read_data(files.with("c.json", R"([{"image": "a.png", "caption": "c"},
                                                  {"image": "a.png", "caption": [5, {}]},
                                                  {"caption": "c"}, {"image_id": 3, "caption": ""}])")),
      files.message("c.json",
                    "4 problems\n"
                    "  malformed items: 2\n"
                    "    item 1 ('1'): 'caption' holds an entry of type object, a string "
                    "is needed\n"
                    "    item 2 ('2'): 'image' is missing\n"
                    "  empty texts: 1\n"
                    "    item 3 ('3'): the answer is empty\n"
                    "  missing images: 1\n"
                    "    item 3 ('3'): no image " +
                        files.at("000000000003.jpg") + "; also looked in " + files.at("images")));
}

/// Four samples, three of which cannot be evaluated.
constexpr const char* kMixed = R"([
  {"id": "a", "image": "gone.png", "question": "q", "answer": "x"},
  {"id": "b", "image": "a.png", "question": "q", "answer": "x"},
  {"id": "c", "image": "b.png", "question": "<image><image>", "answer": ""},
  {"id": "d", "image": "a.png", "question": "q", "answer": {}}])";

TEST(RecordedProblems, StayInTheirPlace) {
  const Files files;
  DataOptions options = files.with("d.json", kMixed);
  options.on_problem = OnProblem::kRecord;
  const DataSet data = read_data(options);
  ASSERT_EQ(ids(data), (Texts{"a", "b", "c", "d"}));
  EXPECT_EQ(data.samples[0].problem,
            "no image " + files.at("gone.png") + "; also looked in " + files.at("images"));
  EXPECT_EQ(data.samples[0].question, "q");
  EXPECT_EQ(data.samples[0].answer, "x");
  EXPECT_TRUE(data.samples[0].images.empty());
  EXPECT_EQ(data.samples[1].problem, "");
  EXPECT_EQ(data.samples[2].problem,
            "the answer is empty; the question has <image> 2 times, the item names 1 image");
  EXPECT_EQ(data.samples[3].problem, "'answer' is of type object, a string is needed");
  EXPECT_EQ(data.samples[3].index, 3);
  for (const Sample& sample : data.samples) EXPECT_EQ(sample.content.size(), 32U);
}

TEST(RecordedProblems, HaveAContentThatChangesWhenTheyAreMended) {
  const Files files;
  DataOptions options = files.with("d.json", kMixed);
  options.on_problem = OnProblem::kRecord;
  const DataSet before = read_data(options);
  EXPECT_EQ(read_data(options).content, before.content);
  files.folder.write("gone.png", "");
  const DataSet empty = read_data(options);
  EXPECT_EQ(empty.samples[0].problem, files.at("gone.png") + ": the file is empty");
  files.folder.write("gone.png", "third picture");
  const DataSet mended = read_data(options);
  EXPECT_EQ(mended.samples[0].problem, "");
  EXPECT_NE(mended.samples[0].content, before.samples[0].content);
  EXPECT_NE(mended.samples[0].content, empty.samples[0].content);
  EXPECT_EQ(mended.samples[1].content, before.samples[1].content);
}

TEST(RecordedProblems, CountAsSelected) {
  const Files files;
  DataOptions options = files.with("d.json", kMixed);
  options.on_problem = OnProblem::kRecord;
  options.offset = 1;
  options.limit = 2;
  EXPECT_EQ(ids(read_data(options)), (Texts{"b", "c"}));
}

TEST(RecordedProblems, RefuseWhenNothingIsLeft) {
  const Files files;
  DataOptions options = files.with("d.json", kMixed);
  options.on_problem = OnProblem::kRecord;
  options.sample_ids = {"a"};
  EXPECT_ERROR_CONTAINS(read_data(options), ": 4 problems\n  malformed items: 1\n");
}

TEST(RecordedProblems, OfTheFileStillRefuse) {
  const Files files;
  const auto refused = [&](const std::string& name, const std::string& text,
                           const std::string& message) {
    DataOptions options = files.with(name, text);
    options.on_problem = OnProblem::kRecord;
    options.ids = RepeatedIds::kRefuse;
    EXPECT_ERROR(read_data(options), message);
  };
  const std::string good = R"({"id": "a", "question": "q", "answer": "x"})";
  refused("d.jsonl", good + "\n" + good,
          files.message("d.jsonl", "line 2 ('a'): the id is used before"));
  refused("d.jsonl", good + "\n{",
          files.at("d.jsonl") +
              ":2: not valid JSON: column 2: unexpected end of input; expected string literal");
  refused("d.jsonl", good + "\n{\"id\": \"\xff\", \"question\": \"q\", \"answer\": \"x\"}",
          files.at("d.jsonl") + ":2: not UTF-8 (byte 0xff)");
  refused("d.jsonl", good + "\n3",
          files.message("d.jsonl", "line 2: is of type number, an object is needed"));
  refused("d.tsv", "index\timage_path\tquestion\tanswer\n1\ta.png\tq\tx\n2\ta.png\tq\n",
          files.at("d.tsv") + ":3: 3 fields, the header has 4");
}

TEST(RecordedProblems, OfRowsAndConversations) {
  const Files files;
  DataOptions table =
      files.with("t.tsv", "index\timage\tquestion\tanswer\n1\t9\tq\tx\n2\t" + std::string(68, '*') +
                              "\tq\tx\n3\t" + std::string(68, 'A') + "\tq\tx\n");
  table.on_problem = OnProblem::kRecord;
  const DataSet rows = read_data(table);
  ASSERT_EQ(ids(rows), (Texts{"1", "2", "3"}));
  EXPECT_EQ(rows.samples[0].problem, "'image' is '9', no row's index");
  EXPECT_EQ(rows.samples[1].problem, "the image '" + std::string(68, '*') + "' is not base64");
  EXPECT_EQ(rows.samples[2].problem, "");
  DataOptions talks = files.with("c.json", R"([
    {"id": "a", "conversations": [{"from": "human", "value": "q"}]},
    {"id": "b", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "x"}]}])");
  talks.on_problem = OnProblem::kRecord;
  talks.turn = "all";
  const DataSet set = read_data(talks);
  ASSERT_EQ(ids(set), (Texts{"a", "b#1"}));
  EXPECT_EQ(set.samples[0].problem, "'conversations' needs pairs of a human's and a gpt's turn");
}

/// Python's json module writes and reads the first two and reads the others.
TEST(ProblemsOfData, LinesThatAreNotJsonSayWhyAndWhere) {
  const Files files;
  const std::string good = R"({"id": "x", "question": "q", "answer": "a"})";
  for (const auto& [line, why] : std::vector<std::pair<std::string, std::string>>{
           {R"({"question": "q", "answer": NaN})",
            "column 29: NaN is not JSON (write null or a number)"},
           {R"({"question": "q", "answer": -Infinity})",
            "column 29: -Infinity is not JSON (write null or a number)"},
           {R"({"question": "\u732b q", "answer": "\ud83d!"})",
            R"(column 37: \ud83d is a lone surrogate, half of a character)"},
           {R"({"question": "q", "answer": "\ud83d\u0041"})",
            R"(column 30: \ud83d is a lone surrogate, half of a character)"},
           {R"({"question": "q", "answer": "x\ude00"})",
            R"(column 31: \ude00 is a lone surrogate, half of a character)"},
           {"{\"question\": \"\u732b\u732b\", \"answer\": oh}", "column 30: invalid literal"},
           {R"({"question": "q", "answer": 1e999})", "a number is out of range"}}) {
    EXPECT_ERROR(read_data(files.with("d.jsonl", good + "\n" + line + "\n")),
                 files.at("d.jsonl") + ":2: not valid JSON: " + why);
  }
  EXPECT_ERROR(
      read_data(files.with("d.json", "[{\"question\": \"q\",\n \"answer\": NaN}]")),
      files.at("d.json") + ":2:12: not valid JSON: NaN is not JSON (write null or a number)");
}

TEST(ProblemsOfData, TextsThatShowNothingAreEmpty) {
  const Files files;
  const std::string kind = " ('0'): the answer holds only invisible characters";
  for (const char* invisible :
       {R"(\u200b)", R"(\ufeff)", R"( \u200d\u2060 )", R"(\u0000\u0007)", R"(\u00ad)", R"(\u3164)",
        R"(\ufe0f)", R"(\u2800)", R"(\u00a0\u3000)", R"(\u202e\u2066)", R"(\udb40\udc41)"}) {
    SCOPED_TRACE(invisible);
    const std::string text(invisible);
    EXPECT_ERROR(
        read_data(files.with("d.json", R"([{"question": "q", "answer": ")" + text + "\"}]")),
        files.message("d.json", "item 0" + kind));
    EXPECT_ERROR(
        read_data(files.with("d.json", R"([{"question": ")" + text + R"(", "answer": "a"}])")),
        files.message("d.json", "item 0 ('0'): the question holds only invisible characters"));
    EXPECT_ERROR(read_data(files.with(
                     "d.json", R"([{"image": "images/a.png", "caption": [")" + text + "\"]}]")),
                 files.message("d.json", "item 0" + kind));
  }
  EXPECT_ERROR(read_data(files.with(
                   "d.tsv", "index\timage_path\tquestion\tanswer\n1\timages/a.png\tq\t\u200b\n")),
               files.message("d.tsv", "line 2 ('1'): the answer holds only invisible characters"));
  // A sign that is seen is an answer, whatever is around it.
  EXPECT_EQ(read_data(files.with("d.json", "[{\"question\": \"q\", \"answer\": \"\u200b.\"}]"))
                .samples.at(0)
                .answer,
            "\u200b.");
}

}  // namespace
}  // namespace elastikv
