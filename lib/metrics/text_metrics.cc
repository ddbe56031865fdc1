#include "metrics/text_metrics.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest_name.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

/// nullptr for a name that no family knows.
std::shared_ptr<const TextMetric> make_text_metric(std::string_view name) {
  for (const TextFamily& family : text_families()) {
    if (auto metric = family.make(name)) return metric;
  }
  return nullptr;
}

}  // namespace

const std::vector<std::string>& text_metric_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const TextFamily& family : text_families())
      all.insert(all.end(), family.names.begin(), family.names.end());
    return all;
  }();
  return names;
}

TextMetrics::TextMetrics(const std::vector<std::string>& names) : names_(names) {
  if (names.empty()) fail("no metric was asked for{}", suggestion("", text_metric_names()));
  for (const std::string& name : names) {
    metrics_.push_back(make_text_metric(name));
    if (metrics_.back() == nullptr)
      fail("metric '{}' is not known{}", name, suggestion(name, text_metric_names()));
    if (std::count(names.begin(), names.end(), name) > 1) fail("metric '{}' is given twice", name);
  }
}

std::vector<TextScore> TextMetrics::score(std::string_view reference,
                                          std::string_view candidate) const {
  return score_best({std::string(reference)}, candidate);
}

std::vector<TextScore> TextMetrics::score_best(const std::vector<std::string>& references,
                                               std::string_view candidate) const {
  std::vector<TextPair> texts;
  texts.reserve(references.size());
  for (const std::string& reference : references) texts.emplace_back(reference, candidate);
  std::vector<TextScore> scores;
  for (const auto& metric : metrics_) scores.push_back(metric->score_texts(texts));
  return scores;
}

}  // namespace elastikv
