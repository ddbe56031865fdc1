#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sweep/records.h"

namespace elastikv {

/// One file of a report.
struct ReportFile {
  std::string name;
  std::string text;
};

/// The tables of a sweep, made from its records alone.
struct Report {
  /// report.md; ppl.csv and one CSV per text metric and agreement measure, strategies by budgets;
  /// differences.csv, paired with the full cache and with elastic; cells.csv, every number of every
  /// cell in long form; speed.md and speed.csv, the only files that hold times.
  std::vector<ReportFile> files;
  /// The perplexity and text-metric tables alone, in Markdown: for the terminal.
  std::string summary;
  /// False when samples are missing or a cell has a failed sample.
  bool complete = true;
};

/// Computes a report. All files but speed.* depend on nothing but the records' results, so that a
/// sweep that was interrupted and resumed gives the same bytes as one that was not.
///
/// Perplexity is exp of the mean negative log likelihood over all scored tokens; text metrics and
/// agreement are means over samples; intervals are 95 % percentile bootstraps over samples with the
/// same resampled indices for every cell of a (model, data set) pair, so differences are paired.
/// Only samples that every cell has been given are used. A cell in which one of them failed shows
/// "failed k/n" instead of a number: a mean over the samples that happened to survive could not be
/// compared with its neighbours.
Report make_report(const StoredSweep& sweep);

/// make_report of a sweep's output folder, its files written there.
Report write_report(const std::filesystem::path& folder);

}  // namespace elastikv
