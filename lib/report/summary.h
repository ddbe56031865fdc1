#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "metrics/agreement.h"
#include "metrics/clusters.h"
#include "metrics/intervals.h"
#include "metrics/perplexity.h"
#include "sweep/config.h"
#include "sweep/plan.h"
#include "sweep/records.h"

namespace elastikv {

/// A mean over samples with its bootstrap interval.
struct Mean {
  double value = 0;
  std::optional<Interval> interval;
};

/// A sample and why a table has nothing of it.
struct MissingSample {
  std::string id;
  std::string reason;
};

/// A number for each of some samples, which are known by their place in a list of samples.
struct SampleValues {
  std::vector<size_t> samples;  // ascending
  std::vector<double> values;
};

/// All numbers of one cell.
struct CellSummary {
  Cell cell;
  size_t full = 0;      // the index in the group of the full cache of the same run
  int64_t samples = 0;  // that every cell of the group has been given, without those left out
  int64_t failed = 0;   // of these, in this cell; above 0, nothing below holds
  int64_t oom = 0;      // of the failed, for lack of memory
  std::vector<MissingSample> failures;  // one per failed sample, in the samples' order

  PerplexitySummary perplexity;
  SampleValues nll;            // of the samples that have scored tokens, for paired differences
  std::vector<double> tokens;  // the same samples'
  /// Of these, those with a single scored token: the uncompressed prompt's own logits score it, so
  /// that every strategy equals the full cache.
  int64_t blind_answers = 0;
  int64_t unscored_answers = 0;                  // without any, where perplexity was measured
  std::vector<Mean> text;                        // F, per text metric
  std::vector<std::vector<double>> text_values;  // per metric and sample
  std::vector<int64_t> undefined;                // per metric: samples without a score of their own
  int64_t undefined_texts = 0;                   // samples without one in some metric
  // Per sample, for paired differences; empty where the mean is absent.
  std::vector<double> divergence_values;
  std::vector<double> match_values;
  SampleValues kl;              // of the samples in which distributions were compared
  Clusters clusters;            // of all samples
  double generated_tokens = 0;  // mean
  double finished = 0;          // share of samples

  // Absent for the full cache and when agreement is off.
  std::optional<Mean> first_divergence;  // tokens
  std::optional<Mean> match_rate;
  std::optional<Mean> mean_kl;  // nats per token; over the samples that have one

  // Means over samples; tokens are per layer.
  double prompt_tokens = 0;
  double requested_tokens = 0;
  double kept_tokens = 0;
  int64_t least_kept = 0;  // over layers and samples
  int64_t most_kept = 0;
  double bytes_prefill = 0;
  double bytes_end = 0;

  // Means over samples, seconds.
  CellSeconds seconds;

  bool ok() const { return failed == 0 && samples > 0; }
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
GroupSummary summarize(const GroupSource& source, size_t text_metrics, const Bootstrap& bootstrap);

/// One category's samples, aggregated like the whole group's.
struct CategorySummary {
  std::string name;
  std::vector<CellSummary> cells;  // as in the group
};

/// By category, in the order in which the samples first name them; a sample counts in each of its
/// categories, and one that was left out in none.
std::vector<CategorySummary> summarize_categories(const GroupSource& source,
                                                  const GroupSummary& group, size_t text_metrics,
                                                  const Bootstrap& bootstrap);

}  // namespace elastikv
