#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "metrics/metric.h"
#include "metrics/metric_choice.h"
#include "metrics/scorer.h"

namespace elastikv {

/// The metrics that a sweep asks for, in the order of its tables, and what its records keep for
/// them.
class MetricSet final {
 public:
  /// Error for a text metric that is not known.
  explicit MetricSet(const MetricChoice& choice);

  const std::vector<std::shared_ptr<const Metric>>& metrics() const { return metrics_; }
  const Scorers& scorers() const { return scorers_; }
  /// Whether any metric compares cells with the full cache.
  bool needs_full() const;
  /// Whether any metric compares with the data set's answers.
  bool needs_answers() const;
  /// Whether any score depends on more of a question than its references.
  bool needs_question() const { return needs_question_; }
  /// What the record of a sample in a cell keeps; empty where no metric needs anything.
  Scores score(const ScoreInput& input, bool is_full) const;

  // For the metrics' makers.

  void add(std::shared_ptr<const Metric> metric) { metrics_.push_back(std::move(metric)); }
  void need_question() { needs_question_ = true; }
  /// Returns the place of its scores; metrics that want the same scorer share one.
  size_t add(std::shared_ptr<const Scorer> scorer);

 private:
  std::vector<std::shared_ptr<const Metric>> metrics_;
  Scorers scorers_;
  bool needs_question_ = false;
};

}  // namespace elastikv
