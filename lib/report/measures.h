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

/// A value with its interval as one field of a strategies-by-budgets table.
struct Entry {
  double value = 0;
  std::optional<Interval> interval;
};

/// Two cells' values of the samples that they are compared on; absent where one of them has none.
using PairsOf =
    std::function<std::optional<PairedValues>(const CellSummary& a, const CellSummary& b)>;

/// One strategies-by-budgets measure: how to read it from a cell, compare it and print it.
struct Measure {
  std::string name;       // of the CSV file
  std::string title;      // of the section
  std::string signature;  // printed below the table
  std::function<std::optional<Entry>(const CellSummary&)> read;
  PairsOf pairs;
  std::string difference_name;  // what a difference is of: "log_ppl", or the measure itself
  bool in_summary = false;
  bool full_row = true;               // whether the full cache has this measure
  bool higher_is_better = false;      // or lower
  bool in_pairs = true;               // strategies are compared by it
  std::optional<size_t> text_metric;  // which one it is
  std::string missing_words;          // of a text metric: TextMetrics::missing_words
};

/// The measures of a sweep, in the order of its tables.
std::vector<Measure> measures_of(const SweepConfig& config);

/// The budgets that stand over the columns, ascending: fractions of all tokens, fractions of the
/// prompt, numbers of tokens; the full cache's is "1".
std::vector<std::string> budget_columns(const GroupSummary& group);
/// The strategies that stand before the rows, in the sweep's order.
std::vector<std::string> strategy_rows(const GroupSummary& group);
/// The place of a shown cell in a group's cells; absent when there is none.
std::optional<size_t> find_cell(const GroupSummary& group, const std::string& strategy,
                                const std::string& budget);

/// What stands in place of a number that would not be honest: "failed 2/6", "oom", "oom 1/6",
/// "no samples".
std::string mark(const CellSummary& cell);
/// The value with its interval, a mark, "-" where the measure has no value, or "" where it makes
/// none (of the full cache against itself).
std::string measure_text(const CellSummary& cell, const Measure& measure);

using CellText = std::function<std::string(const CellSummary&)>;
/// Strategies by budgets; rows in which no cell has a text are left out, and so are such columns.
Table cross_table(const GroupSummary& group, const CellText& text);

}  // namespace elastikv
