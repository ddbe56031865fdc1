#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/measures.h"
#include "report/runs.h"
#include "report/table.h"

namespace elastikv {

/// Adds what a cell has of a measure: value, low and high, empty where they are not there.
void add_entry(const std::optional<Entry>& entry, std::vector<std::string>& row);

/// A measure of all groups that have it, strategies by budgets with low and high beside each value.
Table measure_csv(const std::vector<ReportGroup>& groups, const std::string& measure);
/// Every number of every cell but times, in long form; the full cache that only the others are
/// compared with is marked as hidden.
Table cells_csv(const std::vector<ReportGroup>& groups);
/// What was measured: per group and measure its label, what it is compared with, what its values
/// can be, the columns of cells_csv that have it, its signature.
Table measures_csv(const std::vector<ReportGroup>& groups);
/// Category by category every measure of the summary, in long form.
Table categories_csv(const std::vector<ReportGroup>& groups);
/// Seconds per sample.
Table speed_table(const std::vector<ReportGroup>& groups);

/// Strategies by categories at one budget, the full cache's row first where it is shown; the header
/// gives each category's number of samples.
Table category_table(const ReportGroup& group, const Measure& measure, const std::string& budget);

/// The names of all measures of all groups, in the order in which they first stand.
std::vector<std::string> measure_names(const std::vector<ReportGroup>& groups);

}  // namespace elastikv
