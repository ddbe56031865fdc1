#pragma once

#include <string>
#include <vector>

#include "report/runs.h"
#include "report/table.h"

namespace elastikv {

/// A data set as a table of tasks shows it: in its own metric (DataOptions::metrics, the first).
struct TaskColumn {
  const ReportGroup* group = nullptr;
  const Measure* own = nullptr;

  /// What turns the metric's values into those that are printed: 100 where they lie in 0..1.
  double scale() const;
};

/// What the strategies of one model reach on the data sets that name metrics of their own.
struct TaskTable {
  std::string model;
  std::vector<TaskColumn> columns;
  std::vector<std::string> strategies;  // of the rows
  std::vector<std::string> budgets;
};

/// One per model that has such data sets. The tables point into `groups`.
std::vector<TaskTable> task_tables(const std::vector<ReportGroup>& groups);

/// A row per strategy and budget, the full cache's first; a column per task; then, with two tasks
/// and more, the mean share of the full cache's scores that is kept (relative_score) and the mean
/// share of texts that are the full cache's own (loyalty, where it is measured).
Table task_rows(const TaskTable& tasks);
/// The same in long form, with intervals, and a column for the metric's name.
Table tasks_csv(const std::vector<ReportGroup>& groups);
/// What a table of tasks says of itself, in sentences.
std::string task_note(const TaskTable& tasks);
/// For LaTeX: in bold the best of a budget's strategies in each column, and those that are not told
/// apart from it.
std::string task_latex(const TaskTable& tasks);

}  // namespace elastikv
