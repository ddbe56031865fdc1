#include "report/differences.h"

namespace elastikv {
namespace {

void add_numbers(const PairedDifference& difference, std::vector<std::string>& row) {
  const auto& interval = difference.interval;
  row.push_back(long_number(difference.difference));
  row.push_back(interval ? long_number(interval->low) : "");
  row.push_back(interval ? long_number(interval->high) : "");
  row.push_back(long_number(difference.p_value));
  row.push_back(std::to_string(difference.samples));
}

void add_differences(const ReportGroup& group, const std::string& name, const Baseline& baseline_of,
                     Table& table) {
  const Bootstrap bootstrap = group.bootstrap();
  for (const Measure& measure : group.measures) {
    if (!measure.in_pairs) continue;
    for (const CellSummary& cell : group.summary.cells) {
      const CellSummary* baseline = cell.cell.hidden ? nullptr : baseline_of(group.summary, cell);
      if (baseline == nullptr) continue;
      const auto difference = measure.difference(cell, *baseline, bootstrap);
      if (!difference) continue;
      std::vector<std::string> row{group.summary.group.model_name,
                                   group.summary.group.data.name,
                                   cell.cell.strategy.label,
                                   cell.cell.budget.text(),
                                   name,
                                   measure.difference_name};
      add_numbers(*difference, row);
      table.rows.push_back(std::move(row));
    }
  }
}

void add_pairs(const ReportGroup& group, const std::string& budget, const Measure& measure,
               Table& table) {
  const Bootstrap bootstrap = group.bootstrap();
  std::vector<const CellSummary*> cells;
  for (const std::string& strategy : strategy_rows(group.summary)) {
    const std::optional<size_t> place = find_cell(group.summary, strategy, budget);
    if (place && !group.summary.cells[*place].cell.is_full()) {
      cells.push_back(&group.summary.cells[*place]);
    }
  }
  for (size_t a = 0; a < cells.size(); ++a) {
    for (size_t b = a + 1; b < cells.size(); ++b) {
      const auto difference = measure.difference(*cells[a], *cells[b], bootstrap);
      if (!difference) continue;
      std::vector<std::string> row{group.summary.group.model_name,
                                   group.summary.group.data.name,
                                   cells[a]->cell.strategy.label,
                                   cells[b]->cell.strategy.label,
                                   budget,
                                   measure.difference_name};
      add_numbers(*difference, row);
      table.rows.push_back(std::move(row));
    }
  }
}

}  // namespace

const CellSummary* full_baseline(const GroupSummary& group, const CellSummary& cell) {
  return cell.cell.is_full() ? nullptr : &group.cells[cell.full];
}

Baseline strategy_baseline(const std::string& label) {
  return [label](const GroupSummary& group, const CellSummary& cell) -> const CellSummary* {
    if (cell.cell.is_full()) return nullptr;
    const std::optional<size_t> place = find_cell(group, label, cell.cell.budget.text());
    if (!place || &group.cells[*place] == &cell) return nullptr;
    return &group.cells[*place];
  };
}

Table difference_table(const ReportGroup& group, const Measure& measure, const Baseline& baseline) {
  const Bootstrap bootstrap = group.bootstrap();
  return cross_table(group.summary, [&](const CellSummary& cell) -> std::string {
    const CellSummary* other = baseline(group.summary, cell);
    if (other == nullptr) return "";
    if (!cell.ok()) return mark(cell);
    const auto difference = measure.difference(cell, *other, bootstrap);
    if (!difference) return "-";
    return signed_with_interval(difference->difference, difference->interval);
  });
}

Table differences_csv(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model",      "data", "strategy", "budget",  "baseline", "measure",
                  "difference", "low",  "high",     "p_value", "samples"};
  for (const ReportGroup& group : groups) {
    add_differences(group, "full", full_baseline, table);
    for (const std::string& label : group.compare_with) {
      add_differences(group, label, strategy_baseline(label), table);
    }
  }
  return table;
}

Table pairs_csv(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model",      "data", "a",    "b",       "budget", "measure",
                  "difference", "low",  "high", "p_value", "samples"};
  for (const ReportGroup& group : groups) {
    for (const Measure& measure : group.measures) {
      if (!measure.in_pairs) continue;
      for (const std::string& budget : budget_columns(group.summary)) {
        add_pairs(group, budget, measure, table);
      }
    }
  }
  return table;
}

}  // namespace elastikv
