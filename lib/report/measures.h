#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "metrics/intervals.h"
#include "report/summary.h"
#include "report/table.h"
#include "sweep/config.h"

namespace elastikv {

// What every form of a report is made of: the measures of a sweep, and cells laid out as strategies
// by budgets.

/// A value with its interval as one field of a strategies-by-budgets table.
struct Entry {
  double value = 0;
  std::optional<Interval> interval;
};

/// One strategies-by-budgets measure: how to read it from a cell and how to print it.
struct Measure {
  std::string name;       ///< of the CSV file
  std::string title;      ///< of the section
  std::string signature;  ///< printed below the table
  std::function<std::optional<Entry>(const CellSummary&)> read;
  bool in_summary = false;
  bool full_row = true;  ///< whether the full cache has this measure
};

/// All measures that a sweep has, in the order of its report.
std::vector<Measure> measures_of(const SweepConfig& config);

/// The budgets that stand over the columns, in the sweep's order; the full cache's is "1".
std::vector<std::string> budget_columns(const GroupSummary& group);
/// The strategies that stand before the rows, in the sweep's order.
std::vector<std::string> strategy_rows(const GroupSummary& group);
/// The cell at a place of such a table; nullptr when the sweep has none there.
const CellSummary* find_cell(const GroupSummary& group, const std::string& strategy,
                             const std::string& budget);

/// What stands in place of a number that would not be honest.
std::string mark(const CellSummary& cell);

using CellText = std::function<std::string(const CellSummary&)>;
/// Strategies by budgets; rows in which no cell has a text are left out, and columns likewise.
Table cross_table(const GroupSummary& group, const CellText& text);
/// The same with the values of a measure.
Table measure_table(const GroupSummary& group, const Measure& measure);

/// The cell that another is compared with, nullptr for itself and when there is none.
using Baseline = std::function<const CellSummary*(const GroupSummary&, const CellSummary&)>;
const CellSummary* full_baseline(const GroupSummary& group, const CellSummary& cell);
/// A strategy at the same budget.
Baseline strategy_baseline(const std::string& label);

/// Of log-perplexity, paired over samples; nothing where a cell has none. Error when the two did
/// not score the same tokens.
std::optional<PairedDifference> log_perplexity_difference(const CellSummary& cell,
                                                          const CellSummary& baseline,
                                                          const Bootstrap& bootstrap);

}  // namespace elastikv
