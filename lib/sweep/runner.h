#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/progress.h"
#include "sweep/records.h"

namespace elastikv {

struct Ranks;

/// How to run a sweep, beyond what its configuration says.
struct RunOptions {
  bool resume = false;
  /// Only these samples (see choose_samples), of whichever data sets have them; empty: all that the
  /// sweep uses. With `resume` the folder stays about all samples that it was about.
  std::vector<std::string> sample_ids;
  /// Only this share of the samples; the folder is about it alone, and not together with
  /// `sample_ids`.
  std::optional<Shard> shard;
  /// The processes that share the work, of which this is one (run_rank); null: it is alone.
  Ranks* ranks = nullptr;
  /// Stops after so many failures: a sample that fails in all cells is one, else every cell of it
  /// that fails by itself. What follows from a failure (no reference, a cell that is not tried
  /// again) and samples whose problem was known before count none.
  std::optional<int64_t> max_failures;
  /// The commit that the program was built from, noted in every record.
  std::string commit;
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
  /// What the device said that stopped answering in the middle of the run; empty: none did.
  std::string device_lost;
  /// Rank 0 tells about the whole sweep; nothing else but `interrupted` is known here.
  bool other_rank = false;
  int64_t undone_cells = 0;  // where it ended early: cells with samples that were not evaluated

  /// 0: every cell is complete; 2: some failed or are undone; 130: interrupted.
  int exit_code() const;
};

/// Runs all cells of a sweep and records each sample of each cell as soon as it is known.
///
/// All that can be checked without weights is checked first: models, strategies, the data sets and
/// their images, the output folder; of a sweep that is resumed also the hash of the weights. Only
/// then anything is written, so that a run which is refused leaves the folder as it was.
///
/// A sample is always evaluated with all of its cells, because they decode as one batch; when a
/// sweep is resumed, a sample that lacks a record, or has a failed one, is evaluated whole again
/// and what was missing is appended (everything, should the engine have given other numbers than
/// the ones recorded before).
///
/// Error for what the user can mend; a sample or cell that fails, in whatever way, is recorded and
/// the sweep goes on. Only a device that does not answer any more ends it
/// (SweepOutcome::device_lost), since all that came after would fail, too. A sample with a problem
/// that is known before anything is loaded is refused, unless its data set records such samples
/// (OnProblem::kRecord): then it fails in all cells, without being tried, and is tried when the run
/// is resumed only if the problem has changed.
SweepOutcome run_sweep(const SweepConfig& config, const RunOptions& options, const Engines& engines,
                       Progress& progress);

}  // namespace elastikv
