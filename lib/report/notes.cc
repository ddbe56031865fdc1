#include "report/notes.h"

#include <algorithm>
#include <utility>

#include <fmt/ranges.h>

#include "base/error.h"
#include "report/differences.h"

namespace elastikv {
namespace {

/// Any cell with numbers: what notes speak of is the same in all that are compressed at the same
/// moment. One that is compressed before the prompt's end, where there is one.
const CellSummary* any_cell(const std::vector<CellSummary>& cells) {
  const CellSummary* any = nullptr;
  for (const CellSummary& cell : cells) {
    if (!cell.ok()) continue;
    if (cell.cell.strategy.moment.at != CompressAt::kPromptEnd) return &cell;
    if (any == nullptr) any = &cell;
  }
  return any;
}

bool is_control(const Cell& cell) {
  return cell.strategy.preset == "random" || cell.strategy.preset == "stride";
}

std::string controls_note(const ReportGroup& group, const Measure& measure) {
  if (!measure.in_pairs) return "";
  std::vector<std::pair<std::string, std::vector<std::string>>> budgets;  // by control
  for (const std::string& budget : budget_columns(group.summary)) {
    const auto& cells = group.summary.cells;
    const bool any_strategy = std::any_of(cells.begin(), cells.end(), [&](const CellSummary& cell) {
      return cell.ok() && !cell.cell.hidden && !cell.cell.is_full() && !is_control(cell.cell) &&
             cell.cell.budget.text() == budget;
    });
    const bool any_control = std::any_of(cells.begin(), cells.end(), [&](const CellSummary& cell) {
      return cell.ok() && !cell.cell.hidden && is_control(cell.cell) &&
             cell.cell.budget.text() == budget;
    });
    if (!any_strategy || !any_control) continue;
    for (const size_t place : best_cells(group, budget, measure)) {
      if (!is_control(cells[place].cell)) continue;
      const std::string& label = cells[place].cell.strategy.label;
      auto known = std::find_if(budgets.begin(), budgets.end(),
                                [&](const auto& entry) { return entry.first == label; });
      if (known == budgets.end()) known = budgets.insert(budgets.end(), {label, {}});
      known->second.push_back(budget);
    }
  }
  if (budgets.empty()) return "";
  std::vector<std::string> clauses;
  clauses.reserve(budgets.size());
  for (const auto& [label, at] : budgets) {
    clauses.push_back(fmt::format("{} at budget {}", label, fmt::join(at, ", ")));
  }
  return fmt::format(
      "Not told apart from the best strategy on {} by the paired bootstrap: the control{} {}. What "
      "ignores the text does as well there, so that these numbers show no gain from choosing "
      "entries.",
      group.summary.group.data.name, budgets.size() > 1 ? "s" : "", fmt::join(clauses, "; "));
}

}  // namespace

std::vector<std::string> notes_above(const ReportGroup& group, const Measure& measure) {
  std::vector<MeasuredCell> cells;
  for (const CellSummary& cell : group.summary.cells) {
    if (cell.ok()) cells.push_back(cell.measured(measure.place));
  }
  std::vector<std::string> notes = measure.metric->notes(cells);
  std::string controls = controls_note(group, measure);
  if (!controls.empty()) notes.push_back(std::move(controls));
  return notes;
}

std::string unmoved_note(const std::vector<CellSummary>& cells,
                         const std::vector<Measure>& measures) {
  const CellSummary* cell = any_cell(cells);
  if (cell == nullptr) return "";
  std::string text;
  for (const Measure& measure : measures) {
    const std::string note = measure.metric->unmoved(*cell->measurement(measure.place));
    if (!note.empty()) text += (text.empty() ? "" : "; ") + note;
  }
  return text;
}

std::string amount_note(const ReportGroup& group) {
  const CellSummary* cell = any_cell(group.summary.cells);
  if (cell == nullptr) return "";
  std::string text;
  for (const Measure& measure : group.measures) {
    const std::string amount = measure.metric->amount(*cell->measurement(measure.place));
    if (!amount.empty()) text += (text.empty() ? "" : ", ") + amount;
  }
  return text;
}

std::string category_note(const ReportGroup& group, const Measure& measure) {
  std::vector<std::pair<std::string, const Measurement*>> categories;
  for (const CategorySummary& category : group.categories) {
    const CellSummary* cell = any_cell(category.cells);
    if (cell != nullptr) categories.emplace_back(category.name, cell->measurement(measure.place));
  }
  const std::string note = measure.metric->category_note(categories);
  const std::string several = "A sample counts in each of its categories.";
  return note.empty() ? several : several + " " + note;
}

std::string difference_note(const ReportGroup& group, const Measure& measure) {
  std::string note =
      "Paired over samples; * where the interval excludes 0; p is adjusted by Holm's procedure for "
      "all differences of the table.";
  if (measure.right_or_wrong) note += " McNemar's p is exact, of each difference by itself.";
  static const Measurement nothing{};
  const CellSummary* cell = any_cell(group.summary.cells);
  const std::string of_metric = measure.metric->difference_note(
      cell == nullptr ? nothing : *cell->measurement(measure.place));
  return of_metric.empty() ? note : note + " " + of_metric;
}

}  // namespace elastikv
