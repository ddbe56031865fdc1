// Which samples are no independent draws: Sample::cluster.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support.h"
#include "support/paths.h"
#include "text/tokenizer.h"

namespace elastikv {
namespace {

std::vector<std::string> clusters(const DataSet& data) {
  std::vector<std::string> names;
  for (const Sample& sample : data.samples) names.push_back(sample.cluster);
  return names;
}

TEST(Clusters, QuestionsAboutTheSameImageAreOne) {
  const Files files;
  files.folder.write("images/copy.png", "first picture");  // the bytes of a.png
  const std::vector<std::string> of = clusters(read_data(
      files.with("d.jsonl", R"({"question": "q", "answer": "a", "image": "images/a.png"})"
                            "\n"
                            R"({"question": "r", "answer": "b", "image": "images/b.png"})"
                            "\n"
                            R"({"question": "s", "answer": "c", "image": "images/copy.png"})"
                            "\n"
                            R"({"question": "t", "answer": "d", "image": "images/a.png"})")));
  ASSERT_EQ(of.size(), 4U);
  EXPECT_NE(of[0], "");
  EXPECT_EQ(of[2], of[0]);
  EXPECT_EQ(of[3], of[0]);
  EXPECT_NE(of[1], of[0]);
  EXPECT_NE(of[1], "");
}

TEST(Clusters, AreJoinedByASampleWithSeveralImages) {
  const Files files;
  files.folder.write("images/c.png", "third picture");
  const std::vector<std::string> of = clusters(read_data(files.with(
      "d.jsonl",
      R"({"question": "q", "answer": "a", "image": "images/a.png"})"
      "\n"
      R"({"question": "r", "answer": "b", "image": "images/b.png"})"
      "\n"
      R"({"question": "s", "answer": "c", "image": "images/c.png"})"
      "\n"
      R"({"question": "t", "answer": "d", "image": ["images/b.png", "images/a.png"]})")));
  ASSERT_EQ(of.size(), 4U);
  EXPECT_EQ(of[1], of[0]);
  EXPECT_EQ(of[3], of[0]);
  EXPECT_NE(of[2], of[0]);
}

TEST(Clusters, TheTurnsOfAConversationAreOne) {
  const Files files;
  DataOptions options = files.with("d.json", R"([
    {"id": "x", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"},
                                  {"from": "human", "value": "r"}, {"from": "gpt", "value": "b"}]},
    {"id": "y", "conversations": [{"from": "human", "value": "s"}, {"from": "gpt", "value": "c"}]}
  ])");
  options.turn = "all";
  const std::vector<std::string> of = clusters(read_data(options));
  ASSERT_EQ(of.size(), 3U);
  EXPECT_EQ(of[1], of[0]);
  EXPECT_NE(of[2], of[0]);
}

TEST(Clusters, TheSameQuestionAndAnswerAgainIsNoFurtherDraw) {
  const Files files;
  const std::vector<std::string> of =
      clusters(read_data(files.with("d.jsonl", R"({"id": 1, "question": "q", "answer": "a"})"
                                               "\n"
                                               R"({"id": 2, "question": "q", "answer": "b"})"
                                               "\n"
                                               R"({"id": 3, "question": "q", "answer": "a"})")));
  ASSERT_EQ(of.size(), 3U);
  EXPECT_EQ(of[2], of[0]);
  EXPECT_NE(of[1], of[0]);
}

TEST(Clusters, CopiesOfAnImageInATableAreOne) {
  const Files files;
  // The second row names the first one's image, the third has it again, the fourth another one.
  const std::string one =
      "Zmlyc3QgcGljdHVyZSBvZiB0aGUgdGFibGUsIGxvbmcgZW5vdWdoIHRvIGJlIG9uZS4gWWVzLg==";
  const std::string other =
      "b3RoZXIgcGljdHVyZSBvZiB0aGUgdGFibGUsIGxvbmcgZW5vdWdoIHRvIGJlIG9uZS4gWWVzLg==";
  const std::vector<std::string> of = clusters(read_data(
      files.with("d.tsv", "index\timage\tquestion\tanswer\n1\t" + one + "\tq\ta\n2\t1\tr\tb\n3\t" +
                              one + "\ts\tc\n4\t" + other + "\tt\td\n")));
  ASSERT_EQ(of.size(), 4U);
  EXPECT_EQ(of[1], of[0]);
  EXPECT_EQ(of[2], of[0]);
  EXPECT_NE(of[3], of[0]);
}

TEST(Clusters, WindowsOfATextAreOneWhereTheyOverlap) {
  const Files files;
  const std::unique_ptr<Tokenizer> tokenizer =
      load_tokenizer(source_path("tests/unit/text/data/smollm2-like"));
  const auto windows = [&](int64_t stride) {
    DataOptions options = files.with(
        "t.txt", "Alice was beginning to get very tired of sitting by her sister on the bank.\n");
    options.tokens = TokenWindows{4, 2, stride};
    return clusters(read_data(options, /*check_image=*/{}, tokenizer.get()));
  };
  const std::vector<std::string> apart = windows(6);
  ASSERT_GE(apart.size(), 4U);
  for (size_t i = 1; i < apart.size(); ++i) EXPECT_NE(apart[i], apart[i - 1]);
  // Of six ids, every window has two of the third one's before it and none of the fourth's.
  const std::vector<std::string> overlapping = windows(2);
  ASSERT_GE(overlapping.size(), 7U);
  for (size_t i = 0; i < overlapping.size(); ++i)
    EXPECT_EQ(overlapping[i], overlapping[i / 3 * 3]) << i;
  EXPECT_NE(overlapping[3], overlapping[0]);
  EXPECT_NE(overlapping[6], overlapping[3]);
}

}  // namespace
}  // namespace elastikv
