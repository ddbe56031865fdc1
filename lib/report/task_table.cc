#include "report/task_table.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "metrics/text_metrics.h"
#include "report/differences.h"
#include "report/latex.h"

namespace elastikv {
namespace {

/// A strategy at a budget on one task.
const CellSummary* cell_of(const TaskColumn& column, const std::string& strategy,
                           const std::string& budget) {
  const std::optional<size_t> place = find_cell(column.group->summary, strategy, budget);
  return place ? &column.group->summary.cells[*place] : nullptr;
}

/// The rows: each strategy at each budget that it has on any task.
std::vector<std::pair<std::string, std::string>> rows_of(const TaskTable& tasks) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const std::string& strategy : tasks.strategies) {
    for (const std::string& budget : tasks.budgets) {
      const bool any = std::any_of(
          tasks.columns.begin(), tasks.columns.end(),
          [&](const TaskColumn& column) { return cell_of(column, strategy, budget) != nullptr; });
      if (any) rows.emplace_back(strategy, budget);
    }
  }
  return rows;
}

std::string value_text(const TaskColumn& column, const CellSummary* cell) {
  if (cell == nullptr) return "";
  if (!cell->ok()) return mark(*cell);
  const std::optional<Entry> entry = column.own->read(*cell);
  return entry ? fmt::format("{:.1f}", column.scale() * entry->value) : "-";
}

/// Of the tasks of which more is better; absent unless the cell has a value on each of them.
std::optional<RelativeScore> made_relative(const TaskTable& tasks, const std::string& strategy,
                                           const std::string& budget, RelativeScores& scores) {
  std::vector<PairedValues> pairs;
  for (const TaskColumn& column : tasks.columns) {
    if (!column.own->higher_is_better) continue;
    const CellSummary* cell = cell_of(column, strategy, budget);
    if (cell == nullptr || !cell->ok()) return std::nullopt;
    const CellSummary& full = column.group->summary.cells[cell->full];
    if (!full.ok()) return std::nullopt;
    std::optional<PairedValues> pair = column.own->pairs(*cell, full);
    if (!pair) return std::nullopt;
    pairs.push_back(std::move(*pair));
  }
  if (pairs.size() < 2) return std::nullopt;
  return scores.of(pairs);
}

std::optional<RelativeScore> relative_of(const TaskTable& tasks, const std::string& strategy,
                                         const std::string& budget) {
  TaskScores& known = *tasks.columns.front().group->task_scores;
  const auto [score, is_new] = known.made.try_emplace({strategy, budget});
  if (is_new) score->second = made_relative(tasks, strategy, budget, known.scores);
  return score->second;
}

/// The mean over tasks of the share of texts that stay the full cache's.
std::optional<double> loyalty_of(const TaskTable& tasks, const std::string& strategy,
                                 const std::string& budget) {
  double sum = 0;
  for (const TaskColumn& column : tasks.columns) {
    const Measure* loyalty = find_measure(column.group->measures, kLoyalty);
    const CellSummary* cell = cell_of(column, strategy, budget);
    if (loyalty == nullptr || cell == nullptr || !cell->ok()) return std::nullopt;
    const std::optional<Entry> entry = loyalty->read(*cell);
    if (!entry) return std::nullopt;
    sum += entry->value;
  }
  return sum / static_cast<double>(tasks.columns.size());
}

bool measures_loyalty(const TaskTable& tasks) {
  return std::all_of(tasks.columns.begin(), tasks.columns.end(), [](const TaskColumn& column) {
    return find_measure(column.group->measures, kLoyalty) != nullptr;
  });
}

/// In percent: "98.7 [97.1, 100.2]".
std::string percent_text(const std::optional<RelativeScore>& score) {
  if (!score) return "-";
  std::string text = fmt::format("{:.1f}", 100 * score->score);
  if (score->interval)
    text +=
        fmt::format(" [{:.1f}, {:.1f}]", 100 * score->interval->low, 100 * score->interval->high);
  return text;
}

}  // namespace

double TaskColumn::scale() const {
  return own->bounds.low == 0.0 && own->bounds.high == 1.0 ? 100 : 1;
}

std::vector<TaskTable> task_tables(const std::vector<ReportGroup>& groups) {
  std::vector<TaskTable> tables;
  for (const ReportGroup& group : groups) {
    const std::vector<std::string>& metrics = group.summary.group.data.metrics;
    const Measure* own = metrics.empty() ? nullptr : find_measure(group.measures, metrics.front());
    if (own == nullptr) continue;
    const std::string& model = group.summary.group.model_name;
    if (tables.empty() || tables.back().model != model) tables.push_back({model, {}, {}, {}});
    TaskTable& table = tables.back();
    table.columns.push_back({&group, own});
    const auto add = [](std::vector<std::string>& all, const std::vector<std::string>& more) {
      for (const std::string& text : more) {
        if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
      }
    };
    add(table.strategies, strategy_rows(group.summary));
    add(table.budgets, budget_columns(group.summary));
  }
  return tables;
}

Table task_rows(const TaskTable& tasks) {
  Table table;
  table.header = {"strategy", "budget"};
  for (const TaskColumn& column : tasks.columns) {
    table.header.push_back(
        fmt::format("{} ({})", column.group->summary.group.data.name, column.own->name));
  }
  const bool several = tasks.columns.size() > 1;
  const bool loyalty = measures_loyalty(tasks);
  if (several) table.header.emplace_back("relative average");
  if (loyalty) table.header.emplace_back(kLoyalty);
  for (const auto& [strategy, budget] : rows_of(tasks)) {
    std::vector<std::string> row{strategy, budget};
    for (const TaskColumn& column : tasks.columns)
      row.push_back(value_text(column, cell_of(column, strategy, budget)));
    if (several) row.push_back(percent_text(relative_of(tasks, strategy, budget)));
    if (loyalty) {
      const std::optional<double> share = loyalty_of(tasks, strategy, budget);
      row.push_back(share ? fmt::format("{:.1f}", 100 * *share) : "-");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table tasks_csv(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model", "strategy", "budget", "task", "metric", "value", "low", "high"};
  for (const TaskTable& tasks : task_tables(groups)) {
    for (const auto& [strategy, budget] : rows_of(tasks)) {
      const auto add = [&, &row_strategy = strategy, &row_budget = budget](
                           const std::string& task, const std::string& metric,
                           std::optional<double> value, const std::optional<Interval>& interval) {
        table.rows.push_back({tasks.model, row_strategy, row_budget, task, metric,
                              long_number(value), interval ? long_number(interval->low) : "",
                              interval ? long_number(interval->high) : ""});
      };
      for (const TaskColumn& column : tasks.columns) {
        const CellSummary* cell = cell_of(column, strategy, budget);
        const std::optional<Entry> entry =
            cell != nullptr && cell->ok() ? column.own->read(*cell) : std::nullopt;
        if (entry)
          add(column.group->summary.group.data.name, column.own->name, entry->value,
              entry->interval);
      }
      if (const auto relative = relative_of(tasks, strategy, budget))
        add("(all)", "relative-average", relative->score, relative->interval);
      if (const auto share = loyalty_of(tasks, strategy, budget))
        add("(all)", kLoyalty, share, std::nullopt);
    }
  }
  return table;
}

std::string task_note(const TaskTable& tasks) {
  std::string note =
      "Each data set in its own metric; what lies in 0..1 is given in percent. Intervals and "
      "differences stand in the tables of the data sets.";
  if (tasks.columns.size() > 1) {
    note +=
        " Relative average: the mean over data sets of the score's share of the full cache's, with "
        "its 95 % interval, each data set resampled by itself.";
  }
  if (measures_loyalty(tasks))
    note += " Loyalty: the mean share of texts that are the full cache's.";
  return note;
}

std::string task_latex(const TaskTable& tasks) {
  const Table rows = task_rows(tasks);
  std::string text = fmt::format(
      "\\begin{{table}}[ht]\n\\centering\\small\n"
      "\\begin{{tabular}}{{ll{}}}\n\\toprule\n",
      std::string(rows.header.size() - 2, 'r'));
  for (size_t i = 0; i < rows.header.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : " & ", latex_escape(rows.header[i]));
  text += " \\\\\n\\midrule\n";
  for (const std::vector<std::string>& row : rows.rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      std::string field = latex_escape(row[i]);
      if (i >= 2 && i - 2 < tasks.columns.size()) {
        const TaskColumn& column = tasks.columns[i - 2];
        const std::optional<size_t> place = find_cell(column.group->summary, row[0], row[1]);
        const std::vector<size_t> best = best_cells(*column.group, row[1], *column.own);
        if (place && std::find(best.begin(), best.end(), *place) != best.end())
          field = fmt::format("\\textbf{{{}}}", field);
      }
      text += fmt::format("{}{}", i == 0 ? "" : " & ", field);
    }
    text += " \\\\\n";
  }
  return text + fmt::format(
                    "\\bottomrule\n\\end{{tabular}}\n\\caption{{{}: tasks. {}}}\n"
                    "\\end{{table}}\n",
                    latex_escape(tasks.model), latex_escape(task_note(tasks)));
}

}  // namespace elastikv
