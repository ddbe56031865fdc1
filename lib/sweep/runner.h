#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "datasets/dataset.h"
#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/plan.h"
#include "sweep/progress.h"

namespace elastikv {

/// How to run a sweep, beyond what its configuration says.
struct RunOptions {
  bool resume = false;
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
/// Error for what the user can mend; a failing sample or cell is recorded and the sweep goes on.
SweepOutcome run_sweep(const SweepConfig& config, const RunOptions& options, const Engines& engines,
                       Progress& progress);

/// The data sets of a sweep, read and checked. One that is cut into windows of tokens is another
/// set of samples for every model, so a set belongs to a model and a name.
class SweepData final {
 public:
  /// Error when a data set is not usable, or when two models cut the same text into different
  /// numbers of windows: their tables could not stand side by side.
  SweepData(const SweepConfig& config, const Engines& engines);

  const DataSet& of(const CellGroup& group) const;
  /// By name: what all models have in common (format, ids of the samples).
  const std::map<std::string, const DataSet*>& by_name() const { return by_name_; }

 private:
  const DataSet& read(const DataOptions& options, const ModelChoice& model, const Engines& engines);

  std::map<std::pair<std::string, std::string>, DataSet> sets_;  // by name and model folder
  std::map<std::string, const DataSet*> by_name_;
};

}  // namespace elastikv
