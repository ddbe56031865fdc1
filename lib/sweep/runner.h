#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "datasets/dataset.h"
#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/plan.h"
#include "sweep/progress.h"

namespace elastikv {

/// How to run a sweep, beyond what its configuration says.
struct RunOptions {
  bool resume = false;
  /// Only these samples, of whichever data sets have them; empty: all that the sweep uses. With
  /// `resume` the folder stays about all samples that it was about.
  std::vector<std::string> sample_ids;
  /// Stops after so many failures: a sample that fails in all cells is one, else every cell of it
  /// that fails by itself. What follows from a failure (no reference, a cell that is not tried
  /// again) and samples whose problem was known before count none.
  std::optional<int64_t> max_failures;
  /// Noted in sweep.json: when, where and with what.
  std::map<std::string, std::string> provenance;
  /// Asked between samples and, by the engine, within them.
  std::function<bool()> should_stop = [] { return false; };
};

/// What a run left behind.
struct SweepOutcome {
  int64_t cells = 0;          // of the plan, hidden ones too
  int64_t failed_cells = 0;   // with at least one failed sample
  std::string first_failure;  // "CELL, sample ID: why", empty when none failed
  bool interrupted = false;
  /// Set when max_failures stopped it.
  bool stopped = false;
  int64_t undone_cells = 0;  // then: cells with samples that were not evaluated

  /// 0: every cell is complete; 2: some failed; 130: interrupted.
  int exit_code() const;
};

/// Runs all cells of a sweep and records each sample of each cell as soon as it is known.
///
/// All that can be checked without weights is checked first: models, strategies, the data sets and
/// their pictures, the output folder. A sample is always evaluated with all of its cells, because
/// they decode as one batch; when a sweep is resumed, a sample that lacks a record, or has a failed
/// one, is evaluated whole again and what was missing is appended (everything, should the engine
/// have given other numbers than the ones recorded before).
/// Error for what the user can mend; a failing sample or cell is recorded and the sweep goes on. A
/// sample with a problem that is known before anything is loaded is refused, unless its data set
/// records such samples (OnProblem::kRecord): then it fails in all cells, without being tried.
SweepOutcome run_sweep(const SweepConfig& config, const RunOptions& options, const Engines& engines,
                       Progress& progress);

/// The data sets of a sweep, read and checked. One that is cut into windows of tokens is another
/// set of samples for every model, so a set belongs to a model and a name.
class SweepData final {
 public:
  /// Reads what the cells need. Error when a data set is not usable, or when two models cut the
  /// same text into different numbers of windows: their tables could not stand side by side.
  SweepData(const SweepConfig& config, const Engines& engines);

  const DataSet& of(const CellGroup& group) const;
  /// By name: what all models have in common (format, ids of the samples).
  const std::map<std::string, const DataSet*>& by_name() const { return by_name_; }

 private:
  const DataSet& read(const DataOptions& options, const ModelChoice& model, const Engines& engines);

  std::map<std::pair<std::string, std::string>, DataSet> sets_;  // by name and model folder
  std::map<std::string, const DataSet*> by_name_;
};

/// Why the model of a group cannot take samples, one text per sample of its data set, empty for
/// those that it can take; problems of the samples themselves are among them. Error for the first
/// one unless the data set records such samples, and when no sample is left without one.
std::vector<std::string> problems_of(const CellGroup& group, const DataSet& data,
                                     const EvaluationSettings& settings, const Engines& engines);

/// A sweep of some samples only.
struct SampleChoice {
  /// Without limits and offsets, with the samples of each data set, and without the data sets that
  /// have none of them.
  SweepConfig config;
  std::vector<std::string> left_out;     // names of those data sets
  std::map<std::string, DataSet> whole;  // by name: every sample of the data sets that are left
};
/// Error for an id that no data set has, with the nearest one.
SampleChoice choose_samples(const SweepConfig& config, const std::vector<std::string>& ids,
                            const Engines& engines);

}  // namespace elastikv
