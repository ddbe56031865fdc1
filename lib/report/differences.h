#pragma once

#include <functional>
#include <string>
#include <vector>

#include "metrics/intervals.h"
#include "report/runs.h"
#include "report/table.h"

namespace elastikv {

/// The cell that another is compared with, nullptr for itself and when there is none.
using Baseline = std::function<const CellSummary*(const GroupSummary&, const CellSummary&)>;

/// The full cache of the cell's own run.
const CellSummary* full_baseline(const GroupSummary& group, const CellSummary& cell);
/// A strategy at the same budget.
Baseline strategy_baseline(const std::string& label);

/// A row of a long table before it is known what stands beside it.
struct DifferenceRow {
  std::vector<std::string> fields;  ///< what it is of
  PairedDifference difference;
};
/// Adds rows whose differences are looked at together, Holm's procedure over all of them: behind
/// their fields difference, low, high, p_value, p_holm and samples, and McNemar's exact p where the
/// table has a column for it.
void add_difference_rows(std::vector<DifferenceRow> rows, Table& table);

/// A measure minus the baseline's, strategies by budgets: with the interval, a star where it
/// excludes 0, and the p-value adjusted by Holm's procedure for all differences of the table; of
/// what is right or wrong with McNemar's exact p, as it is.
Table difference_table(const ReportGroup& group, const Measure& measure, const Baseline& baseline);

/// The shown cells of a budget that the paired difference does not tell apart from the best of them
/// (its interval includes 0), with that one: places in the group's cells. The full cache
/// does not take part. Empty when no interval can be had (one sample).
std::vector<size_t> best_cells(const ReportGroup& group, const std::string& budget,
                               const Measure& measure);

/// Every cell minus the full cache and minus each of compare_with at the same budget, in long form:
/// perplexity (as its logarithm), text metrics and mean KL. p_holm is adjusted for the differences
/// of one measure from one baseline, at all budgets. Where a measure is right or wrong, a column
/// p_mcnemar has McNemar's exact p of its rows, as it is.
Table differences_csv(const std::vector<ReportGroup>& groups);

/// Every pair of strategies at every budget, a before b in the order of the rows: a - b with its
/// interval and p-value, by the same measures. p_holm is adjusted for all pairs of one measure at
/// one budget. p_mcnemar as above.
Table pairs_csv(const std::vector<ReportGroup>& groups);

}  // namespace elastikv
