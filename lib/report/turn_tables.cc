#include "report/turn_tables.h"

#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "report/differences.h"
#include "report/long_tables.h"
#include "report/measures.h"

namespace elastikv {
namespace {

constexpr const char* kNote = "n: conversations that have the turn.";

bool is_shown(const Cell& cell, const std::string& budget) {
  return !cell.hidden && (cell.is_full() || cell.budget.text() == budget);
}

std::vector<std::string> header_of(const ReportGroup& group) {
  std::vector<std::string> header{"strategy"};
  for (const TurnSummary& turn : group.turns)
    header.push_back(fmt::format("turn {} (n={})", turn.turn, turn.cells.front().samples));
  return header;
}

/// Strategies by turns: what `text` says of each cell; rows without any text are left out.
template <typename Text>
Table by_turn(const ReportGroup& group, const std::string& budget, Text text) {
  Table table;
  table.header = header_of(group);
  for (size_t i = 0; i < group.summary.cells.size(); ++i) {
    const Cell& cell = group.summary.cells[i].cell;
    if (!is_shown(cell, budget)) continue;
    std::vector<std::string> row{cell.strategy.label};
    bool any = false;
    for (size_t turn = 0; turn < group.turns.size(); ++turn) {
      row.push_back(text(turn, i));
      any = any || !row.back().empty();
    }
    if (any) table.rows.push_back(std::move(row));
  }
  return table;
}

/// The place of the cell that another is compared with.
std::optional<size_t> baseline_of(const ReportGroup& group, size_t cell, const Baseline& baseline) {
  const std::vector<CellSummary>& cells = group.summary.cells;
  const CellSummary* other =
      cells[cell].cell.hidden ? nullptr : baseline(group.summary, cells[cell]);
  if (other == nullptr) return std::nullopt;
  return static_cast<size_t>(other - cells.data());
}

/// A cell minus its baseline in one turn; absent where there is none.
std::optional<PairedDifference> difference_of(const ReportGroup& group, const Measure& measure,
                                              size_t turn, size_t cell, const Baseline& baseline) {
  const std::optional<size_t> other = baseline_of(group, cell, baseline);
  if (!other) return std::nullopt;
  const std::vector<CellSummary>& cells = group.turns[turn].cells;
  if (!cells[cell].ok() || !cells[*other].ok()) return std::nullopt;
  const std::vector<CellPair> pair{{&cells[cell], &cells[*other]}};
  return group.differences->of(measure, pair).front();
}

Table difference_table(const ReportGroup& group, const Measure& measure, const std::string& budget,
                       const std::string& label) {
  const Baseline baseline = strategy_baseline(label);
  return by_turn(group, budget, [&](size_t turn, size_t cell) -> std::string {
    if (!baseline_of(group, cell, baseline)) return "";
    const auto difference = difference_of(group, measure, turn, cell, baseline);
    if (!difference) return "-";
    return signed_with_interval(difference->difference, difference->interval);
  });
}

std::string kept_text(const CellSummary& cell) {
  if (!cell.ok()) return mark(cell);
  const double share = cell.compressed_tokens > 0 ? cell.kept_tokens / cell.compressed_tokens : 0;
  return fmt::format("{:.1f} ({:.3f})", cell.kept_tokens, share);
}

/// Budgets that have a table each: without the full cache's, which has a row in all of them.
std::vector<std::string> budgets_of(const ReportGroup& group) {
  std::vector<std::string> budgets = budget_columns(group.summary);
  if (budgets.size() > 1) std::erase(budgets, "1");
  return budgets;
}

void add_long_differences(const ReportGroup& group, const std::string& name,
                          const Baseline& baseline, Table& table) {
  for (const Measure& measure : group.measures) {
    if (!measure.in_pairs) continue;
    std::vector<DifferenceRow> rows;
    for (size_t turn = 0; turn < group.turns.size(); ++turn) {
      for (size_t i = 0; i < group.summary.cells.size(); ++i) {
        const auto difference = difference_of(group, measure, turn, i, baseline);
        if (!difference) continue;
        const Cell& cell = group.summary.cells[i].cell;
        rows.push_back({{group.summary.group.model_name, group.summary.group.data.name,
                         std::to_string(group.turns[turn].turn), cell.strategy.label,
                         cell.budget.text(), name, measure.difference_name},
                        *difference});
      }
    }
    add_difference_rows(std::move(rows), table);
  }
}

}  // namespace

std::vector<TurnTable> turn_tables(const ReportGroup& group) {
  std::vector<TurnTable> tables;
  if (group.turns.empty()) return tables;
  const auto add = [&](std::string title, Table table, std::string note) {
    if (!table.rows.empty())
      tables.push_back({std::move(title), std::move(table), std::move(note)});
  };
  const std::vector<std::string> budgets = budgets_of(group);
  for (const Measure& measure : group.measures) {
    for (const std::string& budget : budgets) {
      if (measure.in_summary) {
        add(fmt::format("{} by turn at budget {}", measure.name, budget),
            by_turn(group, budget,
                    [&](size_t turn, size_t cell) {
                      return measure_text(group.turns[turn].cells[cell], measure);
                    }),
            kNote);
      }
      if (!measure.in_pairs) continue;
      for (const std::string& label : group.compare_with) {
        add(fmt::format("{} by turn minus that of {} at budget {}", measure.difference_title, label,
                        budget),
            difference_table(group, measure, budget, label),
            "Paired over conversations; * where the interval excludes 0.");
      }
    }
  }
  for (const std::string& budget : budgets) {
    add(fmt::format("Entries when a turn begins, at budget {}", budget),
        by_turn(group, budget,
                [&](size_t turn, size_t cell) { return kept_text(group.turns[turn].cells[cell]); }),
        "Entries per layer; their share of the conversation so far, and of what is compressed in "
        "the first turn.");
  }
  return tables;
}

Table turns_csv(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model",   "data",  "turn", "samples", "strategy",      "budget",
                  "measure", "value", "low",  "high",    "prompt_tokens", "kept_tokens"};
  for (const ReportGroup& group : groups) {
    for (const TurnSummary& turn : group.turns) {
      for (const CellSummary& cell : turn.cells) {
        if (cell.cell.hidden) continue;
        for (const Measure& measure : group.measures) {
          if (!measure.in_summary) continue;
          std::vector<std::string> row{group.summary.group.model_name,
                                       group.summary.group.data.name,
                                       std::to_string(turn.turn),
                                       std::to_string(cell.samples),
                                       cell.cell.strategy.label,
                                       cell.cell.budget.text(),
                                       measure.name};
          add_entry(cell.ok() ? measure.read(cell) : std::nullopt, row);
          row.push_back(cell.ok() ? long_number(cell.prompt_tokens) : "");
          row.push_back(cell.ok() ? long_number(cell.kept_tokens) : "");
          table.rows.push_back(std::move(row));
        }
      }
    }
  }
  return table;
}

Table turn_differences_csv(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model",      "data", "turn", "strategy", "budget", "baseline", "measure",
                  "difference", "low",  "high", "p_value",  "p_holm", "samples"};
  for (const ReportGroup& group : groups) {
    if (group.turns.empty()) continue;
    add_long_differences(group, "full", full_baseline, table);
    for (const std::string& label : group.compare_with)
      add_long_differences(group, label, strategy_baseline(label), table);
  }
  return table;
}

}  // namespace elastikv
