#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/dataset.h"
#include "metrics/intervals.h"
#include "metrics/metric.h"
#include "metrics/metric_set.h"
#include "report/summary.h"
#include "report/table.h"
#include "sweep/config.h"

namespace elastikv {

/// A value with its interval as one field of a strategies-by-budgets table.
struct Entry {
  double value = 0;
  std::optional<Interval> interval;
};

/// A metric as the tables of a group show it.
struct Measure : MetricTraits {
  std::shared_ptr<const Metric> metric;
  size_t place = 0;       // among the measurements of the group's cells
  std::string signature;  // printed below the table

  /// Absent where the cell has no value.
  std::optional<Entry> read(const CellSummary& cell) const;
  /// Two cells' values of the samples that they are compared on; absent where one of them has none.
  std::optional<PairedValues> pairs(const CellSummary& a, const CellSummary& b) const;
};

/// The measures of a sweep, in the order of its tables; `data`: what they are of.
std::vector<Measure> measures_of(const MetricSet& metrics, const BootstrapChoice& bootstrap,
                                 std::span<const DataOptions> data);
/// By its name; nullptr when there is none.
const Measure* find_measure(const std::vector<Measure>& measures, std::string_view name);

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
