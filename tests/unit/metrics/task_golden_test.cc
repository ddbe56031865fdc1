// Metrics of answers against what published kits say of thousands of them:
// tests/golden/make_task_golden.py.
#include <array>
#include <cstddef>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "metrics/caption_words.h"
#include "metrics/choice_letters.h"
#include "metrics/metric_set.h"
#include "metrics/text_metrics.h"
#include "support/paths.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr double kTolerance = 1e-9;

std::vector<Json> lines_of(const std::string& name) {
  std::ifstream file(source_path("tests/golden/tasks/") + name);
  EXPECT_TRUE(file.is_open()) << name;
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
  return lines;
}

/// The mean over samples of a metric, as a sweep has it.
double over_samples(const std::string& name, const std::vector<std::string>& texts,
                    const std::vector<Question>& questions) {
  const MetricSet set(MetricChoice{.perplexity = false, .text = {name}, .agreement = false});
  std::vector<ModelOutput> outputs(texts.size());
  std::vector<Scores> scores;
  std::vector<MeasuredSample> samples;
  for (size_t i = 0; i < texts.size(); ++i) {
    outputs[i].text = texts[i];
    std::vector<TextPair> pairs;
    for (const std::string& reference : questions[i].references)
      pairs.emplace_back(reference, outputs[i].text);
    scores.push_back(set.score({outputs[i], outputs[i], pairs, questions[i]}, /*is_full=*/false));
  }
  for (size_t i = 0; i < texts.size(); ++i)
    samples.push_back({outputs[i], scores[i], &questions[i]});
  return *set.metrics().front()->measure(samples, {}, Bootstrap(10)).value;
}

TEST(TaskMetrics, VqaAccuracy) {
  const TextMetrics metrics({"vqa-accuracy", "vqa-accuracy-vqav2", "vqa-accuracy-vlmeval"});
  size_t cases = 0;
  for (const Json& line : lines_of("vqa.jsonl")) {
    Question question;
    for (const char vote : line[2].get<std::string>())
      question.votes.push_back(line[1][static_cast<size_t>(vote - '0')]);
    line[1].get_to(question.references);
    const auto scores = metrics.score_answer(question, line[0].get<std::string>());
    ++cases;
    for (size_t i = 0; i < scores.size(); ++i) {
      EXPECT_NEAR(scores[i].f, line[3][i].get<double>(), kTolerance)
          << "line " << cases << ": " << metrics.names()[i];
    }
  }
  EXPECT_EQ(cases, 2000U);
}

TEST(TaskMetrics, TextsBesideAnswers) {
  const std::vector<Json> lines = lines_of("texts.jsonl");
  const TextMetrics metrics(lines.front().get<std::vector<std::string>>());
  for (size_t i = 1; i < lines.size(); ++i) {
    Question question;
    lines[i][1].get_to(question.references);
    question.answer = question.references.front();
    if (lines[i][2] == 1) question.categories = {"HME100k"};
    const auto scores = metrics.score_answer(question, lines[i][0].get<std::string>());
    for (size_t m = 0; m < scores.size(); ++m) {
      const Json& expected = lines[i][3][m];
      if (expected.is_null()) continue;  // a letter, which the kit's rule judges as a choice
      EXPECT_NEAR(scores[m].f, expected.get<double>(), kTolerance)
          << "line " << i + 1 << ": " << metrics.names()[m] << ": " << lines[i].dump();
    }
  }
  EXPECT_EQ(lines.size(), 2301U);
}

TEST(TaskMetrics, LettersOfChoices) {
  using LetterOf = std::optional<char> (*)(std::string_view, const Question&);
  constexpr std::array<std::pair<const char*, LetterOf>, 6> kRules{
      {{"choice-lmms-eval", letter_by_lmms_eval},
       {"choice-mmmu", letter_by_mmmu},
       {"choice-vlmeval", letter_by_vlmeval},
       {"choice-ai2d", letter_by_ai2d},
       {"choice-scienceqa", letter_by_scienceqa},
       {"choice-seed", letter_by_seed}}};
  size_t cases = 0;
  for (const Json& line : lines_of("choices.jsonl")) {
    const auto text = line[0].get<std::string>();
    const auto right = line[2].get<std::string>();
    const auto letters = line[3].get<std::string>();
    const Question question{
        .answer = right, .references = {right}, .options = line[1].get<std::vector<std::string>>()};
    ++cases;
    for (size_t i = 0; i < kRules.size(); ++i) {
      const auto& [name, letter_of] = kRules[i];
      EXPECT_EQ(letter_of(text, question).value_or('-'), letters[i])
          << "line " << cases << ": " << name << ": " << line.dump();
      const TextScore score = TextMetrics({name}).score_answer(question, text).front();
      EXPECT_EQ(score.f, letters[i] == right[0] ? 1 : 0) << "line " << cases << ": " << name;
    }
  }
  EXPECT_EQ(cases, 2000U);
}

TEST(TaskMetrics, RulesOfTwoKindsOfQuestions) {
  const TextMetrics metrics({"accuracy-mmmu", "accuracy-realworldqa"});
  size_t cases = 0;
  for (const Json& line : lines_of("joined.jsonl")) {
    Question question{.options = line[1].get<std::vector<std::string>>()};
    line[2].get_to(question.references);
    question.answer = question.references.front();
    const auto scores = metrics.score_answer(question, line[0].get<std::string>());
    ++cases;
    for (size_t i = 0; i < scores.size(); ++i) {
      EXPECT_EQ(scores[i].f, line[3][i].get<double>())
          << "line " << cases << ": " << metrics.names()[i] << ": " << line.dump();
    }
  }
  EXPECT_EQ(cases, 2000U);
}

TEST(TaskMetrics, YesNo) {
  std::vector<Json> lines = lines_of("yes_no.jsonl");
  const Json totals = lines.back();
  lines.pop_back();
  EXPECT_GE(lines.size(), 2000U);
  const TextMetrics metrics({"yes-no", "yes-no-vlmeval", "mme"});
  std::vector<std::string> texts;
  std::vector<Question> questions;
  for (const Json& line : lines) {
    const auto answer = line[1].get<std::string>();
    questions.push_back({.answer = answer,
                         .references = {answer},
                         .categories = {line[2].get<std::string>()},
                         .group = line[3].dump()});
    texts.push_back(line[0]);
    const auto scores = metrics.score_answer(questions.back(), texts.back());
    for (size_t i = 0; i < scores.size(); ++i) {
      EXPECT_EQ(scores[i].f, line[4].get<std::string>()[i] - '0')
          << metrics.names()[i] << ": " << line.dump();
    }
  }
  for (const auto& [name, value] : totals.items())
    EXPECT_NEAR(over_samples(name, texts, questions), value.get<double>(), kTolerance) << name;
}

TEST(TaskMetrics, WordsOfCaptions) {
  size_t cases = 0;
  for (const Json& line : lines_of("caption_words.jsonl")) {
    ++cases;
    EXPECT_EQ(fmt::format("{}", fmt::join(caption_words(line[0].get<std::string>()), " ")),
              line[1].get<std::string>())
        << line.dump();
  }
  EXPECT_EQ(cases, 2000U);
}

TEST(TaskMetrics, Captions) {
  const TextMetrics sentences({"bleu-4"});
  size_t corpora = 0;
  std::vector<std::string> texts;
  std::vector<Question> questions;
  std::vector<double> cider;
  for (const Json& line : lines_of("captions.jsonl")) {
    if (line.is_array()) {
      texts.push_back(line[0]);
      questions.push_back({.references = line[1].get<std::vector<std::string>>()});
      cider.push_back(line[2]);
      EXPECT_NEAR(sentences.score_answer(questions.back(), texts.back()).front().f,
                  line[3].get<double>(), kTolerance)
          << line.dump();
      continue;
    }
    ++corpora;
    for (const auto& [name, value] : line.items()) {
      EXPECT_NEAR(over_samples(name, texts, questions), value.get<double>(), kTolerance)
          << name << " of corpus " << corpora;
    }
    std::vector<Answered> answered;
    for (size_t i = 0; i < texts.size(); ++i) answered.push_back({texts[i], questions[i]});
    std::vector<double> values(texts.size());
    TextMetrics({"cider-d"}).metrics().front()->over_samples(answered, values);
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], cider[i], kTolerance);
    texts.clear();
    questions.clear();
    cider.clear();
  }
  EXPECT_EQ(corpora, 20U);
}

}  // namespace
}  // namespace elastikv
