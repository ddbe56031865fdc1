#include "report/differences.h"

#include <utility>

#include "base/error.h"

namespace elastikv {
namespace {

/// A row of a long table before it is known what stands beside it.
struct DifferenceRow {
  std::vector<std::string> fields;  // what it is of
  PairedDifference difference;
};

/// The p-values of differences that are looked at together, adjusted by Holm's procedure; absent
/// where there is none.
template <typename Differences, typename ValueOf>
std::vector<std::optional<double>> adjusted(const Differences& differences, ValueOf value_of) {
  std::vector<double> p_values;
  for (const auto& one : differences) {
    if (value_of(one).p_value) p_values.push_back(*value_of(one).p_value);
  }
  const std::vector<double> holm = holm_adjusted(p_values);
  std::vector<std::optional<double>> result;
  size_t next = 0;
  for (const auto& one : differences) {
    result.emplace_back();
    if (value_of(one).p_value) result.back() = holm[next++];
  }
  return result;
}

/// Adds rows whose differences are looked at together.
void add_rows(std::vector<DifferenceRow> rows, Table& table) {
  const auto holm = adjusted(rows, [](const DifferenceRow& row) { return row.difference; });
  for (size_t i = 0; i < rows.size(); ++i) {
    const PairedDifference& difference = rows[i].difference;
    const auto& interval = difference.interval;
    std::vector<std::string>& row = rows[i].fields;
    row.push_back(long_number(difference.difference));
    row.push_back(interval ? long_number(interval->low) : "");
    row.push_back(interval ? long_number(interval->high) : "");
    row.push_back(long_number(difference.p_value));
    row.push_back(long_number(holm[i]));
    row.push_back(std::to_string(difference.samples));
    table.rows.push_back(std::move(row));
  }
}

void add_differences(const ReportGroup& group, const std::string& name, const Baseline& baseline_of,
                     Table& table) {
  const Bootstrap bootstrap = group.bootstrap();
  for (const Measure& measure : group.measures) {
    if (!measure.in_pairs) continue;
    std::vector<DifferenceRow> rows;
    for (const CellSummary& cell : group.summary.cells) {
      const CellSummary* baseline = cell.cell.hidden ? nullptr : baseline_of(group.summary, cell);
      if (baseline == nullptr) continue;
      const auto difference = measure.difference(cell, *baseline, bootstrap);
      if (!difference) continue;
      rows.push_back(
          {{group.summary.group.model_name, group.summary.group.data.name, cell.cell.strategy.label,
            cell.cell.budget.text(), name, measure.difference_name},
           *difference});
    }
    add_rows(std::move(rows), table);
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
  std::vector<DifferenceRow> rows;
  for (size_t a = 0; a < cells.size(); ++a) {
    for (size_t b = a + 1; b < cells.size(); ++b) {
      const auto difference = measure.difference(*cells[a], *cells[b], bootstrap);
      if (!difference) continue;
      rows.push_back({{group.summary.group.model_name, group.summary.group.data.name,
                       cells[a]->cell.strategy.label, cells[b]->cell.strategy.label, budget,
                       measure.difference_name},
                      *difference});
    }
  }
  add_rows(std::move(rows), table);
}

/// " p=0.012"
std::string p_text(const std::optional<double>& p_value) {
  if (!p_value) return "";
  return *p_value < 0.001 ? " p<0.001" : fmt::format(" p={:.3f}", *p_value);
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
  // The cells that the table shows, with their differences.
  std::vector<std::pair<const CellSummary*, PairedDifference>> differences;
  for (const CellSummary& cell : group.summary.cells) {
    const CellSummary* other = cell.cell.hidden ? nullptr : baseline(group.summary, cell);
    if (other == nullptr || !cell.ok()) continue;
    const auto difference = measure.difference(cell, *other, bootstrap);
    if (difference) differences.emplace_back(&cell, *difference);
  }
  const auto holm = adjusted(differences, [](const auto& one) { return one.second; });
  return cross_table(group.summary, [&](const CellSummary& cell) -> std::string {
    if (baseline(group.summary, cell) == nullptr) return "";
    if (!cell.ok()) return mark(cell);
    for (size_t i = 0; i < differences.size(); ++i) {
      if (differences[i].first != &cell) continue;
      const PairedDifference& difference = differences[i].second;
      return signed_with_interval(difference.difference, difference.interval) + p_text(holm[i]);
    }
    return "-";
  });
}

Table differences_csv(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model",      "data", "strategy", "budget",  "baseline", "measure",
                  "difference", "low",  "high",     "p_value", "p_holm",   "samples"};
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
                  "difference", "low",  "high", "p_value", "p_holm", "samples"};
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
