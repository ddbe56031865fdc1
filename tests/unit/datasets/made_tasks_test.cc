// Tasks that `make-task` writes: every answer stands in its context as its definition says, counted
// out by hand, and no row is longer than it may be.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "datasets/dataset.h"
#include "datasets/haystack.h"
#include "datasets/ruler_tasks.h"
#include "support.h"
#include "support/expect_error.h"
#include "text/tokenizer.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

constexpr uint64_t kSeed = 7;
constexpr int64_t kRoom = 40;

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

Texts words_in(const std::string& text) {
  std::istringstream stream(text);
  Texts words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// Behind the last place of a text.
std::string behind(const std::string& text, const std::string& part) {
  const size_t at = text.rfind(part);
  EXPECT_NE(at, std::string::npos) << part;
  return at == std::string::npos ? "" : text.substr(at + part.size());
}

/// Words with how often they are there, the most frequent first.
std::vector<std::pair<size_t, std::string>> ranked(const Texts& words) {
  std::map<std::string, size_t> counts;
  for (const std::string& word : words) ++counts[word];
  std::vector<std::pair<size_t, std::string>> ranks;
  for (const auto& [word, count] : counts) ranks.emplace_back(count, word);
  std::sort(ranks.rbegin(), ranks.rend());
  return ranks;
}

void expect_needles(const MadeRow& row) {
  // Between "for" and "mentioned" stand the keys that are asked for.
  std::string asked = behind(row.question, " for ");
  asked = asked.substr(0, asked.find(" mentioned"));
  std::set<std::string> keys;
  for (std::string key : words_in(asked)) {
    if (key == "and") continue;
    if (key.ends_with(',')) key.pop_back();
    keys.insert(key);
  }
  std::multiset<std::string> found;
  for (const std::string& key : keys) {
    const std::string needle = " for " + key + " is: ";
    for (size_t at = row.context.find(needle); at != std::string::npos;
         at = row.context.find(needle, at + 1)) {
      const size_t begin = at + needle.size();
      found.insert(row.context.substr(begin, row.context.find('.', begin) - begin));
    }
  }
  EXPECT_EQ(found, std::multiset<std::string>(row.answers.begin(), row.answers.end()));
  const bool one = row.answers.size() == 1;
  EXPECT_EQ(row.context.starts_with(one ? "A special magic " : "Some special magic "), true);
  EXPECT_EQ(row.answer_prefix.ends_with(one ? " text is" : " text are"), true);
}

void expect_variables(const MadeRow& row) {
  std::map<std::string, std::string> assigned;
  std::istringstream lines(row.context);
  for (std::string line; std::getline(lines, line);) {
    const Texts words = words_in(line);
    if (words.size() >= 4 && words[0] == "VAR") assigned[words[1]] = words.back();
  }
  const std::string value = words_in(behind(row.question, "the value ")).front();
  std::set<std::string> having;
  for (const auto& [name, first] : assigned) {
    std::string at = first;
    while (assigned.contains(at)) at = assigned[at];
    if (at == value) having.insert(name);
  }
  EXPECT_EQ(having, std::set<std::string>(row.answers.begin(), row.answers.end()));
  EXPECT_EQ(having.size(), 5U);
}

void expect_common_words(const MadeRow& row) {
  Texts words = words_in(behind(row.context, "that appear most often.\n"));
  for (size_t i = 0; i < words.size(); i += 2) EXPECT_EQ(words[i], std::to_string(i / 2 + 1) + ".");
  Texts listed;
  for (size_t i = 1; i < words.size(); i += 2) listed.push_back(words[i]);
  const auto ranks = ranked(listed);
  ASSERT_GT(ranks.size(), 10U);
  EXPECT_GT(ranks[9].first, ranks[10].first);
  std::set<std::string> top;
  for (size_t i = 0; i < 10; ++i) top.insert(ranks[i].second);
  EXPECT_EQ(top, std::set<std::string>(row.answers.begin(), row.answers.end()));
}

void expect_frequent_words(const MadeRow& row) {
  Texts words = words_in(behind(row.context, "coded words. "));
  std::erase(words, "...");
  const auto ranks = ranked(words);
  ASSERT_GT(ranks.size(), 3U);
  Texts top;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_GT(ranks[i].first, ranks[i + 1].first);
    top.push_back(ranks[i].second);
  }
  EXPECT_EQ(top, row.answers);
}

void expect_answer(const MadeRow& row) {
  for (const std::string& answer : row.answers)
    EXPECT_NE(row.context.find(answer), std::string::npos) << answer;
  const size_t documents = count_of(row.context, "\nDocument ");
  for (size_t i = 1; i <= documents; ++i)
    EXPECT_EQ(count_of(row.context, "\nDocument " + std::to_string(i) + ":\n"), 1U);
}

class MadeTasks : public testing::Test {
 protected:
  MadeTasks() : tokenizer_(load_tokenizer(source_path("models/stampvlm"))) {
    material_.essay = Haystack(read_file(source_path("datasets/alice/alice.txt")));
    std::string paragraphs;
    for (int i = 0; i < 40; ++i) {
      const std::string number = std::to_string(i);
      paragraphs += (i == 0 ? "" : ",") + std::string(R"({"context": "The mill number )") + number +
                    R"( grinds wheat for the town beside it.", "qas": [{"question": "What does )" +
                    number + R"( grind?", "answers": [{"text": "wheat"}]}]})";
    }
    material_.squad = read_squad(
        files_.folder.write("squad.json", R"({"data": [{"paragraphs": [)" + paragraphs + "]}]}"));
    material_.hotpotqa = read_hotpotqa(
        files_.folder.write("hotpot.json", R"([{"question": "Who?", "answer": "Tom", "context":
        [["Mill", ["Tom has ", "a mill."]], ["Cat", ["Puss has boots."]]]}])"));
  }

  MadeTarget target(int64_t length) const {
    return {.length = length, .room = kRoom, .count_tokens = [this](const std::string& text) {
              return static_cast<int64_t>(tokenizer_->encode(text).size());
            }};
  }

  Files files_;
  std::unique_ptr<Tokenizer> tokenizer_;
  RulerMaterial material_;
};

TEST_F(MadeTasks, HoldTheirAnswersAndFitTheirLengths) {
  EXPECT_EQ(ruler_task_names().size(), 13U);
  EXPECT_EQ(ruler_tasks_of(material_), ruler_task_names());
  for (const std::string& task : ruler_task_names()) {
    for (const int64_t length : {1024, 4096}) {
      for (int64_t number = 0; number < 2; ++number) {
        SCOPED_TRACE(task + " of " + std::to_string(length));
        const MadeRow row = make_ruler_row(task, material_, target(length), kSeed, number);
        EXPECT_EQ(row.task, task);
        const auto tokens = static_cast<int64_t>(tokenizer_->encode(row.text()).size());
        EXPECT_EQ(row.length, tokens + row.max_new_tokens + kRoom);
        EXPECT_LE(row.length, length);
        const bool asks = task.starts_with("qa");
        if (!asks) {
          EXPECT_GE(row.length, length * 9 / 10);
        }
        if (task.starts_with("niah")) expect_needles(row);
        if (task == "vt") expect_variables(row);
        if (task == "cwe") expect_common_words(row);
        if (task == "fwe") expect_frequent_words(row);
        if (asks) expect_answer(row);
      }
    }
  }
}

TEST_F(MadeTasks, NeedlesStandAtTheirDepth) {
  for (const bool noise : {true, false}) {
    for (const double depth : {0.0, 25.0, 50.0, 100.0}) {
      const MadeRow row = make_needle_row(noise ? Haystack() : material_.essay, depth, target(1024),
                                          kSeed, /*row=*/0);
      SCOPED_TRACE(depth);
      expect_needles(row);
      const size_t begin = row.context.find('\n') + 1;
      const size_t at = row.context.find("One of the special magic") - begin;
      EXPECT_NEAR(100 * static_cast<double>(at) / static_cast<double>(row.context.size() - begin),
                  depth, 10);
    }
  }
}

TEST_F(MadeTasks, AreTheSameAgain) {
  for (const std::string& task : ruler_task_names()) {
    const std::string once = make_ruler_row(task, material_, target(1024), kSeed, 0).json();
    EXPECT_EQ(make_ruler_row(task, material_, target(1024), kSeed, 0).json(), once) << task;
    if (!task.starts_with("qa")) {
      EXPECT_NE(make_ruler_row(task, material_, target(1024), kSeed + 1, 0).json(), once) << task;
    }
    if (task != "qa_2") {  // of which there is one question
      EXPECT_NE(make_ruler_row(task, material_, target(1024), kSeed, 1).json(), once) << task;
    }
  }
}

TEST_F(MadeTasks, AreReadAsTheirTaskReadsThem) {
  const MadeRow row = make_needle_row({}, /*depth=*/50, target(512), kSeed, /*row=*/0);
  DataOptions options = files_.with("needle.jsonl", row.json() + "\n");
  options.columns.emplace().answer = "answer";
  options.columns->categories = {"cell"};
  options.columns->max_new_tokens = "max_new_tokens";
  options.parts = PromptParts{
      .context = "{context}", .question = "{question}", .answer_prefix = "{answer_prefix}"};
  const Sample sample = read_data(options).samples.at(0);
  EXPECT_EQ(sample.question + sample.answer_prefix, row.text());
  EXPECT_EQ(sample.context_length, row.context.size());
  EXPECT_EQ(Texts{sample.answer}, row.answers);
  EXPECT_EQ(sample.max_new_tokens, 128);
  EXPECT_EQ(sample.categories, Texts{"length 512 at depth 50"});
}

TEST_F(MadeTasks, ProblemsAreNamed) {
  EXPECT_ERROR(make_ruler_row("niah", material_, target(1024), kSeed, 0),
               "RULER has no task 'niah'; known: niah_single_1, niah_single_2, niah_single_3, "
               "niah_multikey_1, niah_multikey_2, niah_multikey_3, niah_multivalue, "
               "niah_multiquery, vt, cwe, fwe, qa_1, qa_2");
  EXPECT_ERROR(make_ruler_row("qa_1", {}, target(1024), kSeed, 0),
               "task 'qa_1' asks questions of SQuAD, whose file is not given");
  try {
    make_ruler_row("cwe", material_, target(100), kSeed, 0);
    ADD_FAILURE() << "a row of cwe fits into 100 tokens";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("task 'cwe': the shortest row takes "), 0U)
        << error.what();
  }
  EXPECT_ERROR(Haystack(" \n"), "a text without words hides nothing");
  const auto other = files_.folder.write("other.json", R"({"data": []})");
  EXPECT_ERROR(read_squad(other), other.string() + ": holds no questions of SQuAD");
  try {
    read_hotpotqa(other);
    ADD_FAILURE() << "an object is HotpotQA's list";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find(other.string() + ": is not HotpotQA's JSON: "), 0U)
        << error.what();
  }
}

TEST(SentencesOf, EndBeforeWhiteSpace) {
  EXPECT_EQ(sentences_of("A cat. \"Who?\" she said! 3.5 is \n a number... And"),
            (Texts{"A cat.", "\"Who?\"", "she said!", "3.5 is \n a number...", "And"}));
  EXPECT_EQ(sentences_of("  "), Texts{});
}

}  // namespace
}  // namespace elastikv
