// Metrics of long inputs against their published rules: tests/golden/long_golden.py.
#include <cstddef>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "metrics/metric_set.h"
#include "metrics/text_metrics.h"
#include "support/paths.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr double kTolerance = 1e-9;
constexpr size_t kFewestCases = 500;

/// The mean over samples of a metric, as a sweep has it.
double over_all(const std::string& name, const std::vector<std::string>& texts,
                const std::vector<Question>& questions) {
  std::vector<Answered> answered;
  for (size_t i = 0; i < texts.size(); ++i) answered.push_back({texts[i], questions[i]});
  std::vector<double> values(texts.size());
  TextMetrics({name}).metrics().front()->over_samples(answered, values);
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

TEST(TaskMetrics, LongInputs) {
  std::ifstream file(source_path("tests/golden/tasks/long_inputs.jsonl"));
  ASSERT_TRUE(file.is_open());
  std::unique_ptr<TextMetrics> metrics;
  std::vector<std::string> texts;
  std::vector<Question> questions;
  std::map<std::string, size_t> cases;
  size_t number = 0;
  for (std::string text; std::getline(file, text);) {
    const Json line = Json::parse(text);
    ++number;
    if (line.is_object() && line.contains("metrics")) {
      metrics = std::make_unique<TextMetrics>(line["metrics"].get<std::vector<std::string>>());
      texts.clear();
      questions.clear();
      continue;
    }
    if (line.is_object()) {
      for (const auto& [name, value] : line.items())
        EXPECT_NEAR(over_all(name, texts, questions), value.get<double>(), kTolerance) << name;
      continue;
    }
    Question question;
    line[1].get_to(question.votes);
    question.references = question.votes;
    question.answer = question.votes.front();
    line[2].get_to(question.options);
    texts.push_back(line[0]);
    questions.push_back(question);
    const auto scores = metrics->score_answer(question, texts.back());
    for (size_t i = 0; i < scores.size(); ++i) {
      ++cases[metrics->names()[i]];
      EXPECT_NEAR(scores[i].f, line[3][i].get<double>(), kTolerance)
          << "line " << number << ": " << metrics->names()[i] << ": " << line.dump();
    }
  }
  EXPECT_EQ(cases.size(), 40U);
  for (const auto& [name, count] : cases) EXPECT_GE(count, kFewestCases) << name;
}

}  // namespace
}  // namespace elastikv
