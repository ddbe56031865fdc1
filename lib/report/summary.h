#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "metrics/clusters.h"
#include "metrics/intervals.h"
#include "metrics/metric.h"
#include "metrics/metric_set.h"
#include "metrics/question.h"
#include "sweep/config.h"
#include "sweep/plan.h"
#include "sweep/records.h"

namespace elastikv {

/// A sample and why a table has nothing of it.
struct MissingSample {
  std::string id;
  std::string reason;
};

/// All numbers of one cell.
struct CellSummary {
  Cell cell;
  size_t full = 0;      // the index in the group of the full cache of the same run
  int64_t samples = 0;  // that every cell of the group has been given, without those left out
  int64_t failed = 0;   // of these, in this cell; above 0, nothing below holds
  int64_t oom = 0;      // of the failed, for lack of memory
  std::vector<MissingSample> failures;  // one per failed sample, in the samples' order

  std::vector<Measurement> measurements;  // one per metric of the group, in their order
  Clusters clusters;                      // of all samples
  double generated_tokens = 0;            // mean
  double finished = 0;                    // share of samples

  // Means over samples; tokens are per layer.
  double prompt_tokens = 0;
  double compressed_tokens = 0;  // of these, what budgets are of
  double requested_tokens = 0;
  double kept_tokens = 0;
  int64_t least_kept = 0;  // over layers and samples
  int64_t most_kept = 0;
  double bytes_prefill = 0;
  double bytes_end = 0;

  // Means over samples, seconds.
  CellSeconds seconds;

  bool ok() const { return failed == 0 && samples > 0; }

  /// By a metric's place; nullptr unless ok().
  const Measurement* measurement(size_t metric) const {
    return ok() ? &measurements[metric] : nullptr;
  }
  /// The cell as a metric sees it; only if ok().
  MeasuredCell measured(size_t metric) const {
    return {cell.id, cell.hidden, measurements[metric], clusters};
  }
};

/// A cell of a group and where its records are.
struct CellSource {
  Cell cell;       // as tables show it
  std::string id;  // of its records
  const RecordTable* records = nullptr;
  size_t run = 0;   // cells of the same run share a full cache
  size_t full = 0;  // the index of that full cache among the group's sources
};

/// The cells of one model and data set that a table puts side by side, of one run or several.
struct GroupSource {
  CellGroup group;                   // its cells are the sources'
  std::vector<CellSource> cells;     // a full cache first
  std::vector<std::string> samples;  // ids, in the data set's order
  /// Of a sample that could not be evaluated at all: why, by its id.
  std::map<std::string, std::string> problems;
  /// What samples share with others that are resampled with them (StoredSample::cluster), by the
  /// sample's id, where they share something.
  std::map<std::string, std::string> clusters;
  /// Of the samples that belong to any: their categories, by the sample's id.
  std::map<std::string, std::vector<std::string>> categories;
  /// Of samples that are turns of a conversation which goes on: their numbers, by the sample's id.
  std::map<std::string, int64_t> turns;
  /// What metrics are told of the samples, by their ids; none where the folder keeps no samples.
  std::map<std::string, Question> questions;
};

/// All cells of one model and data set.
struct GroupSummary {
  CellGroup group;
  std::vector<std::string> sample_ids;  // that the numbers are over, in the data set's order
  /// Failed in all cells of a run: left out for all cells alike, so that they stay comparable.
  std::vector<MissingSample> left_out;
  int64_t planned_samples = 0;
  int64_t pending = 0;   // samples that some cell has not been given yet
  int64_t samples = 0;   // sample_ids.size()
  int64_t clusters = 0;  // that these fall into
  double prompt_tokens = 0;
  double image_tokens = 0;
  SharedSeconds shared;            // mean
  std::vector<CellSummary> cells;  // as in group.cells

  bool complete() const;
};

/// The cells of a sweep with their records, group by group. Error when the sweep's description
/// lacks a data set. The result points into `sweep`.
std::vector<GroupSource> group_sources(const StoredSweep& sweep, const SweepConfig& config);

/// Aggregates the records of a group. Error when a record contradicts its sweep.
GroupSummary summarize(const GroupSource& source, const MetricSet& metrics,
                       const Bootstrap& bootstrap);

/// One category's samples, aggregated like the whole group's.
struct CategorySummary {
  std::string name;
  std::vector<CellSummary> cells;  // as in the group
};

/// By category, in the order in which the samples first name them; a sample counts in each of its
/// categories, and one that was left out in none.
std::vector<CategorySummary> summarize_categories(const GroupSource& source,
                                                  const GroupSummary& group,
                                                  const MetricSet& metrics,
                                                  const Bootstrap& bootstrap);

/// The samples that are one turn of their conversations, aggregated like the whole group's.
struct TurnSummary {
  int64_t turn = 0;                // from 1
  std::vector<CellSummary> cells;  // as in the group
};

/// By turn, ascending; nothing unless there are several. A sample that was left out counts in none.
std::vector<TurnSummary> summarize_turns(const GroupSource& source, const GroupSummary& group,
                                         const MetricSet& metrics, const Bootstrap& bootstrap);

}  // namespace elastikv
