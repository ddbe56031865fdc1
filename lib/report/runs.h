#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "report/cell_differences.h"
#include "report/measures.h"
#include "report/summary.h"
#include "report/task_scores.h"
#include "sweep/config.h"
#include "sweep/records.h"

namespace elastikv {

struct MadeRankAgreements;

/// A sweep to report and what to call it beside others.
struct ReportRun {
  std::string name;
  StoredSweep sweep;
};

/// The cells of one model and data set, of all runs that may share a table, and their numbers.
struct ReportGroup {
  std::string title;                   // "MODEL on DATA", with "@RUN" where it could not be joined
  std::vector<std::string> notes;      // what was joined, what not and why
  SweepConfig config;                  // of its first run; measures and bootstrap follow it
  std::vector<const ReportRun*> runs;  // CellSource::run counts these
  GroupSource source;
  GroupSummary summary;
  std::vector<Measure> measures;
  std::vector<CategorySummary> categories;
  std::vector<TurnSummary> turns;
  std::vector<std::string> compare_with;

  /// Of the summary's cells.
  std::shared_ptr<CellDifferences> differences;
  /// Of the model's tasks, of which this group is the first.
  std::shared_ptr<TaskScores> task_scores;
  /// Of the model's measures, of which this group has the first.
  std::shared_ptr<MadeRankAgreements> rank_agreements;
};

/// Reads the runs' output folders; a run is called after its folder, or after its whole path where
/// two folders have one name. Shards of one sweep are one run, called after the sweep. Error when a
/// folder is given twice, and when shards do not fit together (read_joined_sweep).
std::vector<ReportRun> read_runs(const std::vector<std::filesystem::path>& folders);

/// The groups of all runs, aggregated. Groups of the same model and data set from different runs
/// become one when the model's engine is the same (weights, tokenizer, images, prompt), the
/// samples are (ids and content), and the metrics are (signatures, limit of generated tokens);
/// otherwise each stands by itself, and its notes say why. In a joined group
///  * intervals are made with the first run's bootstrap, for all cells alike;
///  * a cell that two runs have is shown once when the runs agree on every result of it; a strategy
///    of which they do not, or whose parameters differ, is shown twice, the later one as
///    "LABEL@RUN";
///  * each cell is compared with the full cache of its own run.
/// The groups point into `runs`.
std::vector<ReportGroup> join_runs(const std::vector<ReportRun>& runs);

}  // namespace elastikv
