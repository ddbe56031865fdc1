#include "report/measures.h"

#include <algorithm>
#include <tuple>

#include <fmt/ranges.h>

#include "base/error.h"

namespace elastikv {
namespace {

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// See SignatureContext::option_text.
std::string scored_texts(std::span<const DataOptions> data) {
  std::vector<std::string> texts;
  for (const DataOptions& set : data) {
    if (!set.by_likelihood()) continue;
    const std::string text(option_text_name(set.scored_text()));
    if (!holds(texts, text)) texts.push_back(text);
  }
  return fmt::format("{}", fmt::join(texts, "+"));
}

}  // namespace

std::optional<Entry> Measure::read(const CellSummary& cell) const {
  const Measurement* measurement = cell.measurement(place);
  if (measurement == nullptr || !measurement->value) return std::nullopt;
  return Entry{*measurement->value, measurement->interval};
}

std::optional<PairedValues> Measure::pairs(const CellSummary& a, const CellSummary& b) const {
  if (!a.ok() || !b.ok()) return std::nullopt;
  return metric->pairs(a.measured(place), b.measured(place));
}

std::vector<Measure> measures_of(const MetricSet& metrics, const BootstrapChoice& bootstrap,
                                 std::span<const DataOptions> data) {
  SignatureContext context;
  context.option_text = scored_texts(data);
  context.bootstrap = bootstrap.iterations;
  context.seed = bootstrap.seed;
  std::vector<Measure> measures;
  for (const std::shared_ptr<const Metric>& metric : metrics.metrics()) {
    Measure measure{metric->traits(), metric, measures.size(), metric->signature(context)};
    measures.push_back(std::move(measure));
  }
  return measures;
}

const Measure* find_measure(const std::vector<Measure>& measures, std::string_view name) {
  for (const Measure& measure : measures) {
    if (measure.name == name) return &measure;
  }
  return nullptr;
}

std::vector<std::string> budget_columns(const GroupSummary& group) {
  std::vector<std::string> columns;
  std::vector<const BudgetChoice*> budgets;
  bool everything = false;
  for (const CellSummary& cell : group.cells) {
    if (cell.cell.hidden) continue;
    const std::string text = cell.cell.budget.text();
    if (cell.cell.is_full()) {
      everything = true;
    } else if (!holds(columns, text)) {
      columns.push_back(text);
      budgets.push_back(&cell.cell.budget);
    }
  }
  // Joined runs may each bring some budgets of a row.
  std::stable_sort(budgets.begin(), budgets.end(), [](const auto* a, const auto* b) {
    return std::make_tuple(a->keep_tokens.value_or(0), a->growth, a->keep.value_or(0)) <
           std::make_tuple(b->keep_tokens.value_or(0), b->growth, b->keep.value_or(0));
  });
  for (size_t i = 0; i < columns.size(); ++i) columns[i] = budgets[i]->text();
  if (everything && !holds(columns, "1")) columns.emplace_back("1");
  return columns;
}

std::vector<std::string> strategy_rows(const GroupSummary& group) {
  std::vector<std::string> rows;
  for (const CellSummary& cell : group.cells) {
    const std::string& label = cell.cell.strategy.label;
    if (!cell.cell.hidden && !holds(rows, label)) rows.push_back(label);
  }
  return rows;
}

std::optional<size_t> find_cell(const GroupSummary& group, const std::string& strategy,
                                const std::string& budget) {
  for (size_t i = 0; i < group.cells.size(); ++i) {
    const Cell& cell = group.cells[i].cell;
    if (!cell.hidden && cell.strategy.label == strategy && cell.budget.text() == budget) return i;
  }
  return std::nullopt;
}

std::string mark(const CellSummary& cell) {
  if (cell.failed == 0) return "no samples";
  if (cell.oom == cell.failed) {
    return cell.oom == cell.samples ? "oom" : fmt::format("oom {}/{}", cell.oom, cell.samples);
  }
  return fmt::format("failed {}/{}", cell.failed, cell.samples);
}

std::string measure_text(const CellSummary& cell, const Measure& measure) {
  if (cell.cell.is_full() && !measure.full_row) return "";
  if (!cell.ok()) return mark(cell);
  const std::optional<Entry> value = measure.read(cell);
  return value ? with_interval(value->value, value->interval) : "-";
}

Table cross_table(const GroupSummary& group, const CellText& text) {
  Table table;
  const std::vector<std::string> columns = budget_columns(group);
  table.header.emplace_back("strategy");
  table.header.insert(table.header.end(), columns.begin(), columns.end());
  for (const std::string& strategy : strategy_rows(group)) {
    std::vector<std::string> row{strategy};
    bool any = false;
    for (const std::string& budget : columns) {
      const std::optional<size_t> cell = find_cell(group, strategy, budget);
      row.push_back(cell ? text(group.cells[*cell]) : "");
      any = any || !row.back().empty();
    }
    if (any) table.rows.push_back(std::move(row));
  }
  // A column that only the full cache had and that it has no text for.
  for (size_t column = table.header.size() - 1; column > 0; --column) {
    const bool empty = std::all_of(table.rows.begin(), table.rows.end(),
                                   [&](const auto& row) { return row[column].empty(); });
    if (!empty) continue;
    table.header.erase(table.header.begin() + static_cast<ptrdiff_t>(column));
    for (auto& row : table.rows) row.erase(row.begin() + static_cast<ptrdiff_t>(column));
  }
  return table;
}

}  // namespace elastikv
