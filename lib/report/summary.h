#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "metrics/agreement.h"
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

/// All numbers of one cell.
struct CellSummary {
  Cell cell;
  int64_t samples = 0;  // that every cell of the group has been given
  int64_t failed = 0;   // of these, in this cell; above 0, nothing below holds
  std::string error;    // of the first that failed

  PerplexitySummary perplexity;
  std::vector<double> nll;     // per sample that has scored tokens, for paired differences
  std::vector<double> tokens;  // the same samples'
  std::vector<Mean> text;      // F, per text metric
  std::vector<std::vector<double>> text_values;  // per metric and sample
  int64_t undefined_texts = 0;                   // samples whose text or reference was empty
  double generated_tokens = 0;                   // mean
  double finished = 0;                           // share of samples

  // Absent for the full cache and when agreement is off.
  std::optional<Mean> first_divergence;  // tokens
  std::optional<Mean> match_rate;
  std::optional<Mean> mean_kl;  // nats per token

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

/// All cells of one model and data set.
struct GroupSummary {
  CellGroup group;
  int64_t planned_samples = 0;
  int64_t samples = 0;  // that every cell has been given
  double prompt_tokens = 0;
  double image_tokens = 0;
  SharedSeconds shared;            // mean
  std::vector<CellSummary> cells;  // as in group.cells
};

/// Aggregates records. Error when a record contradicts its sweep.
std::vector<GroupSummary> summarize(const StoredSweep& sweep, const SweepConfig& config);

}  // namespace elastikv
