#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/runs.h"
#include "report/table_forms.h"
#include "sweep/records.h"

namespace elastikv {

/// The forms that a report can be written in: those with a page for it, and those for programs.
const TableForms& report_forms();
/// Reads "md,csv,latex,html", any of report_forms, and returns them in their order. Error for an
/// unknown one (with the nearest known) and for none.
TableForms parse_report_forms(const std::string& text);

/// The tables of sweeps, made from their records alone.
struct Report {
  /// Markdown: report.md and speed.md. LaTeX: report.tex and one .tex per measure. HTML:
  /// report.html. A form for programs, such as CSV, has ppl.* and one per text metric and agreement
  /// measure, strategies by budgets; differences.*, paired with the full cache and with
  /// compare_with; pairs.*, all pairs of strategies; categories.* where the data has categories;
  /// turns.* and turn-differences.* where conversations go on from turn to turn;
  /// rank-agreement.*, whether measures order the strategies alike;
  /// cells.*, every number of every cell in long form; measures.*, what they measure; speed.*.
  std::vector<ReportFile> files;
  /// The perplexity and text-metric tables alone, in Markdown: for the terminal.
  std::string summary;
  /// False when samples are missing, left out, or failed in a cell.
  bool complete = true;
};

/// Computes a report of one run or several (see join_runs). Two files alone say when and where a
/// sweep ran: speed.* has times, and report.html its provenance. All others depend on nothing but
/// the records' results, so that a sweep that was interrupted and resumed gives the same bytes as
/// one that was not.
///
/// Perplexity is exp of the mean negative log likelihood over all scored tokens; text metrics and
/// agreement are means over samples; intervals are 95 % bootstrap-t ones over samples (over
/// clusters of samples, where there are any), with the same resampled indices for every cell of a
/// (model, data set) pair, so differences are paired. Only samples that every cell has been given
/// are used, and of these none that failed in all cells (of one run): those are left out for all
/// alike. A cell in which another one failed shows "failed k/n" or "oom k/n" instead of a number: a
/// mean over the samples that happened to survive could not be compared with its neighbours.
Report make_report(const std::vector<ReportRun>& runs, const TableForms& forms = report_forms());
/// Of a single run.
Report make_report(StoredSweep sweep, const TableForms& forms = report_forms());

/// make_report of a sweep's output folder, its files written there.
Report write_report(const std::filesystem::path& folder, const TableForms& forms = report_forms());
/// make_report of several folders, its files written to `output`, which is made if need be.
Report write_report(const std::vector<std::filesystem::path>& folders,
                    const std::filesystem::path& output, const TableForms& forms = report_forms());

}  // namespace elastikv
