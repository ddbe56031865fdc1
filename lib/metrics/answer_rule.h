#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/intervals.h"
#include "metrics/question.h"
#include "metrics/text_metric.h"

namespace elastikv {

/// A rule that judges answers to the questions of a task, and what a metric of it is called. It
/// compares with the data set, whatever a sweep's other texts are compared with.
struct AnswerRule {
  std::string name;        // as `metrics.text` lists it
  std::string label;       // as plots call it
  std::string mean;        // what is averaged: "accuracy"; or the value over samples
  std::string definition;  // in its signature
  std::string lacking;     // what a question without a score has not: "an answer yes or no"
  /// In 0..1; absent where the question cannot be judged by the rule. Without it there is no score
  /// of a sample by itself.
  std::function<std::optional<double>(std::string_view text, const Question& question)> score;
  bool right_or_wrong = true;  // every score is 0 or 1

  /// Of what is no mean over samples: see TextMetric::over_samples.
  std::function<void(std::span<const Answered> texts, std::span<double> values)> over_samples = {};
  Bounds bounds = {0, 1};
};

/// AnswerRule::score as a function.
using AnswerScore = std::optional<double> (*)(std::string_view text, const Question& question);

/// A rule by which a text is right or wrong.
inline AnswerRule accuracy_rule(std::string name, std::string label, std::string definition,
                                AnswerScore score, std::string lacking = {}) {
  return {.name = std::move(name),
          .label = std::move(label),
          .mean = "accuracy",
          .definition = std::move(definition),
          .lacking = std::move(lacking),
          .score = score};
}
/// One of which a score may lie between.
inline AnswerRule share_rule(std::string name, std::string label, std::string mean,
                             std::string definition, AnswerScore score, std::string lacking = {}) {
  return {.name = std::move(name),
          .label = std::move(label),
          .mean = std::move(mean),
          .definition = std::move(definition),
          .lacking = std::move(lacking),
          .score = score,
          .right_or_wrong = false};
}

/// The best of the scores against several answers; 0 without any.
template <typename Score>
double best_of(const std::vector<std::string>& answers, Score score) {
  double best = 0;
  for (const std::string& answer : answers) best = std::max<double>(best, score(answer));
  return best;
}

/// The metrics of some rules.
TextFamily family_of(std::vector<AnswerRule> rules);

}  // namespace elastikv
