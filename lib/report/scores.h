#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "metrics/intervals.h"
#include "metrics/question.h"
#include "metrics/text_metrics.h"
#include "metrics/text_score.h"

namespace elastikv {

/// The mean F of one metric over lines.
struct ScoreTotal {
  MeanEstimate f;
  std::optional<Interval> interval;
  int64_t undefined = 0;  ///< lines whose 0 stands for "no score"
  std::string signature;
};

/// A candidate text beside its reference.
struct ScoredLine {
  nlohmann::ordered_json id;              ///< string or number, as given
  std::string id_text;                    ///< the same, as text
  std::vector<TextScore> scores;          ///< [metrics]
  std::vector<std::string> categories{};  ///< read where they are asked for
  std::string cluster{};  ///< lines of one are resampled as one; empty: a cluster of its own
  std::string text{};     ///< the candidate, and what it answers, for metrics of all lines together
  Question question{};
};

/// What exported predictions say of where they come from.
inline constexpr std::array<const char*, 4> kScoreLabels{"model", "data", "strategy", "budget"};

/// One file's lines.
struct ScoredFile {
  std::string name;
  std::vector<ScoredLine> lines;
  /// Of kScoreLabels, what all lines agree on; empty where they do not, or say nothing.
  std::array<std::string, kScoreLabels.size()> labels;
  bool several_references = false;
  std::vector<ScoreTotal> totals;  ///< [metrics]
  /// By category; a line of several categories counts in each.
  std::map<std::string, std::vector<ScoreTotal>> categories;
};

/// Files of texts with their scores.
struct ScoredFiles {
  TextMetrics metrics;
  bool per_line = false;      ///< every line's F is shown to people as well; programs always get it
  bool per_category = false;  ///< means by category, too
  int64_t bootstrap = Bootstrap::kDefaultReplicates;  ///< 0 for no intervals
  uint64_t seed = Bootstrap::kDefaultSeed;
  std::vector<ScoredFile> files{};

  /// Scores JSON lines of {id, reference, candidate} and adds them as a file. A list of references
  /// counts by the best of them. Metrics of a task's answers may look at {votes, options, category,
  /// group} as well, and take references that stand twice for two people's answers. Error with file
  /// and line for a line that is none, an id that is used before, no lines, and no categories where
  /// they are asked for; and for a metric that judges no texts.
  void add(const std::string& name, std::string_view text);
};

}  // namespace elastikv
