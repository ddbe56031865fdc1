#include "metrics/text_metrics.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest_name.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

const std::vector<TextFamily>& known_families() {
  static const std::vector<TextFamily> families = text_families();
  return families;
}

std::vector<std::string> listed_names(bool of_tasks) {
  std::vector<std::string> names;
  for (const TextFamily& family : known_families()) {
    if (family.of_tasks == of_tasks)
      names.insert(names.end(), family.names.begin(), family.names.end());
  }
  return names;
}

/// What to ask for instead of a name: one that is near, or those that every text has and where the
/// others are listed.
std::string other_names(std::string_view name) {
  const std::vector<std::string>& tasks = task_metric_names();
  if (!nearest_name(name, tasks).empty() && nearest_name(name, text_metric_names()).empty())
    return suggestion(name, tasks);
  std::string names = suggestion(name, text_metric_names());
  if (names.starts_with("; known")) names += ", and those of `elastikv list metrics`";
  return names;
}

/// Error for a name that no family knows.
std::shared_ptr<const TextMetric> make_text_metric(const std::string& name) {
  for (const TextFamily& family : known_families()) {
    if (auto metric = family.make(name)) return metric;
  }
  fail("metric '{}' is not known{}", name, other_names(name));
}

}  // namespace

const std::vector<std::string>& text_metric_names() {
  static const std::vector<std::string> names = listed_names(/*of_tasks=*/false);
  return names;
}

const std::vector<std::string>& task_metric_names() {
  static const std::vector<std::string> names = listed_names(/*of_tasks=*/true);
  return names;
}

bool is_of_likelihood(const std::string& metric) {
  return make_text_metric(metric)->form().of_likelihood;
}

TextMetrics::TextMetrics(const std::vector<std::string>& names) : names_(names) {
  if (names.empty()) fail("no metric was asked for{}", other_names(""));
  for (const std::string& name : names) {
    metrics_.push_back(make_text_metric(name));
    if (std::count(names.begin(), names.end(), name) > 1) fail("metric '{}' is given twice", name);
  }
}

std::vector<TextScore> TextMetrics::score(std::string_view reference,
                                          std::string_view candidate) const {
  return score_best({std::string(reference)}, candidate);
}

std::vector<TextScore> TextMetrics::score_best(const std::vector<std::string>& references,
                                               std::string_view candidate) const {
  Question question{.references = references};
  if (!references.empty()) question.answer = references.front();
  return score_answer(question, candidate);
}

std::vector<TextScore> TextMetrics::score_answer(const Question& question,
                                                 std::string_view candidate) const {
  std::vector<TextPair> texts;
  texts.reserve(question.references.size());
  for (const std::string& reference : question.references) texts.emplace_back(reference, candidate);
  std::vector<TextScore> scores;
  for (const auto& metric : metrics_) scores.push_back(metric->score_texts(texts, question));
  return scores;
}

}  // namespace elastikv
