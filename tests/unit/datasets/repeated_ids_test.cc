// Files in which several items have one id, as MME's and TextVQA's question files do.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "datasets/dataset.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

std::string pair(const std::string& id, const std::string& answer) {
  return R"({"id": ")" + id + R"(", "question": "q", "answer": ")" + answer + "\"}\n";
}

TEST(RepeatedIds, AreNumberedInTheFilesOrder) {
  const Files files;
  DataOptions options = files.with("d.jsonl", pair("a", "1") + pair("b", "2") + pair("a", "3") +
                                                  pair("a", "4") + pair("b", "5"));
  const DataSet data = read_data(options);
  EXPECT_EQ(ids(data), (Texts{"a", "b", "a#2", "a#3", "b#2"}));
  EXPECT_EQ(answers(data), (Texts{"1", "2", "3", "4", "5"}));
  EXPECT_EQ(data.notes, (Texts{"3 of 5 items repeat an earlier one's id and are numbered in the "
                               "file's order (the second 'a' is 'a#2'); 'ids: unique' refuses "
                               "them"}));
  options.ids = RepeatedIds::kRefuse;
  EXPECT_ERROR(read_data(options), files.message("d.jsonl",
                                                 "3 problems\n"
                                                 "  repeated ids: 3\n"
                                                 "    line 3 ('a'): the id is used before\n"
                                                 "    line 4 ('a'): the id is used before\n"
                                                 "    line 5 ('b'): the id is used before"));
}

TEST(RepeatedIds, TakeNoNumberThatIsAnIdAlready) {
  const Files files;
  const std::string text =
      pair("a", "1") + pair("a", "2") + pair("a#2", "3") + pair("a", "4") + pair("a#2", "5");
  EXPECT_EQ(ids(read_data(files.with("d.jsonl", text))),
            (Texts{"a", "a#3", "a#2", "a#4", "a#2#2"}));
}

TEST(RepeatedIds, AFileWithoutThemKeepsItsIds) {
  const Files files;
  DataOptions options = files.with("d.jsonl", pair("a#2", "1") + pair("a", "2") + pair("3", "3"));
  const DataSet data = read_data(options);
  EXPECT_EQ(ids(data), (Texts{"a#2", "a", "3"}));
  EXPECT_EQ(data.notes, Texts{});
  options.ids = RepeatedIds::kRefuse;
  EXPECT_EQ(read_data(options).content, data.content);
}

TEST(RepeatedIds, DoNotDependOnTheSelection) {
  const Files files;
  DataOptions options =
      files.with("d.jsonl", pair("a", "1") + pair("a", "2") + pair("b", "3") + pair("a", "4"));
  options.offset = 1;
  options.limit = 1;
  EXPECT_EQ(ids(read_data(options)), Texts{"a#2"});
  options.offset = 0;
  options.limit.reset();
  options.sample_ids = {"a#3", "b"};
  const DataSet chosen = read_data(options);
  EXPECT_EQ(ids(chosen), (Texts{"b", "a#3"}));
  EXPECT_EQ(answers(chosen), (Texts{"3", "4"}));
  EXPECT_EQ(chosen.notes.size(), 1U);
}

TEST(RepeatedIds, OfConversationsAreNoTurnsOfEachOther) {
  const Files files;
  const auto talk = [](const std::string& id, const std::string& about) {
    return R"({"id": ")" + id + R"(", "conversations": [
        {"from": "human", "value": "q )" +
           about + R"("}, {"from": "gpt", "value": "a"},
        {"from": "human", "value": "r )" +
           about + R"("}, {"from": "gpt", "value": "b"}]})";
  };
  DataOptions options = files.with(
      "d.json", "[" + talk("x", "1") + ", " + talk("x", "2") + ", " + talk("x#2", "3") + "]");
  EXPECT_EQ(ids(read_data(options)), (Texts{"x", "x#3", "x#2"}));
  options.turn = "all";
  const DataSet all = read_data(options);
  EXPECT_EQ(ids(all), (Texts{"x#1", "x#2", "x#1#2", "x#2#3", "x#2#1", "x#2#2"}));
  Texts clusters;
  for (const Sample& sample : all.samples) clusters.push_back(sample.cluster);
  EXPECT_EQ(clusters, (Texts{"conversation:x", "conversation:x", "conversation:x (item 1)",
                             "conversation:x (item 1)", "conversation:x#2", "conversation:x#2"}));
}

/// TextVQA's questions have their image's name as id, and two of them may be about one.
class Joined : public testing::Test {
 protected:
  static std::string question(const std::string& id, const std::string& text) {
    return R"({"question_id": ")" + id + R"(", "image": "a.png", "text": ")" + text + "\"}\n";
  }
  static std::string answer(const std::string& id, const std::string& text,
                            const std::string& prompt = "") {
    return R"({"question_id": ")" + id + "\"" +
           (prompt.empty() ? "" : R"(, "prompt": ")" + prompt + "\"") + R"(, "text": ")" + text +
           "\"}\n";
  }
  DataOptions options(const std::string& questions, const std::string& answers) const {
    DataOptions options = files_.with("q.jsonl", questions);
    options.answers = files_.folder.write("answers.jsonl", answers);
    return options;
  }

  Files files_;
  std::string questions_ =
      question("x", "first?") + question("y", "other?") + question("x", "second?");
};

TEST_F(Joined, PairUpInTheFilesOrder) {
  const DataSet data =
      read_data(options(questions_, answer("x", "1") + answer("x", "2") + answer("y", "3")));
  EXPECT_EQ(ids(data), (Texts{"x", "y", "x#2"}));
  EXPECT_EQ(answers(data), (Texts{"1", "3", "2"}));
}

TEST_F(Joined, PairUpByThePromptWhereItIsThere) {
  const DataSet data = read_data(options(
      questions_, answer("x", "2", "second?") + answer("y", "3") + answer("x", "1", "first?")));
  EXPECT_EQ(answers(data), (Texts{"1", "3", "2"}));
}

TEST_F(Joined, OtherNumbersOfAnswersAreAProblemOfTheQuestions) {
  const std::string why = files_.at("answers.jsonl") +
                          " has 1 answer to the 2 questions with this id, which pair up only where "
                          "there are as many\n";
  DataOptions one = options(questions_, answer("x", "1") + answer("y", "3"));
  EXPECT_ERROR(read_data(one),
               files_.message("q.jsonl",
                              "2 problems\n"
                              "  answers that do not fit their questions: 2\n"
                              "    line 1 ('x'): " +
                                  why + "    line 3 ('x'): " + why.substr(0, why.size() - 1)));
  one.on_problem = OnProblem::kRecord;
  const DataSet recorded = read_data(one);
  EXPECT_NE(recorded.samples.at(2).problem.find("pair up"), std::string::npos);
  EXPECT_EQ(recorded.samples.at(1).problem, "");
  // What nothing needs is no problem.
  one.on_problem = OnProblem::kRefuse;
  one.needs_answers = false;
  EXPECT_EQ(answers(read_data(one)), (Texts{"", "3", ""}));
  // One question that is answered twice is one as before.
  EXPECT_ERROR(read_data(options(question("y", "q"), answer("y", "1") + answer("y", "2"))),
               files_.message("q.jsonl", files_.at("answers.jsonl") +
                                             ": line 2: question y is answered before"));
}

TEST_F(Joined, AreRefusedWhereIdsHaveToBeUnique) {
  DataOptions unique = options(questions_, answer("x", "1") + answer("x", "2") + answer("y", "3"));
  unique.ids = RepeatedIds::kRefuse;
  EXPECT_ERROR(read_data(unique), files_.message("q.jsonl",
                                                 "2 problems\n"
                                                 "  repeated ids: 2\n"
                                                 "    " +
                                                     files_.at("answers.jsonl") +
                                                     ": line 2: question x is answered before\n"
                                                     "    line 3 ('x'): the id is used before"));
}

TEST(RepeatedIds, OfCocosImagesLeaveTheirCaptionsWithoutAPlace) {
  const Files files;
  EXPECT_ERROR(
      read_data(files.with("c.json", R"({
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}],
        "annotations": [{"image_id": 1, "caption": "c"}, {"image_id": 1, "caption": "d"}]})")),
      files.message("c.json",
                    "images[1] ('1'): the id is used before, and captions name their image by "
                    "it"));
  // Rows of one image are its captions.
  const DataSet rows = read_data(files.with(
      "r.json",
      R"([{"image_id": "a.png", "caption": "c"}, {"image_id": "a.png", "caption": "d"}])"));
  EXPECT_EQ(ids(rows), Texts{"a.png"});
  EXPECT_EQ(rows.samples[0].references, (Texts{"c", "d"}));
}

TEST(RepeatedIds, OfRowsCannotBeReferredTo) {
  const Files files;
  const std::string header = "index\timage\tquestion\tanswer\n";
  const std::string base64(68, 'A');
  const std::string rows = "1\t" + base64 + "\tq\tx\n1\t" + base64 + "\tr\ty\n";
  EXPECT_EQ(ids(read_data(files.with("t.tsv", header + rows))), (Texts{"1", "1#2"}));
  EXPECT_ERROR(read_data(files.with("t.tsv", header + rows + "2\t1\ts\tz\n")),
               files.message("t.tsv", "line 4 ('2'): 'image' is '1', the index of several rows"));
}

}  // namespace
}  // namespace elastikv
