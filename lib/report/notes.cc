#include "report/notes.h"

#include <algorithm>
#include <utility>

#include <fmt/ranges.h>

#include "base/error.h"
#include "report/differences.h"

namespace elastikv {
namespace {

/// Shares of blind answers up to here go without a word above the table.
constexpr double kWorthSaying = 0.01;

/// Any cell with numbers: answers and their scored tokens are the same in all.
const CellSummary* any_cell(const std::vector<CellSummary>& cells) {
  for (const CellSummary& cell : cells) {
    if (cell.ok()) return &cell;
  }
  return nullptr;
}

bool is_control(const Cell& cell) {
  return cell.strategy.preset == "random" || cell.strategy.preset == "stride";
}

bool worth_saying(const CellSummary& cell) {
  const auto scored = static_cast<double>(cell.tokens.size());
  return static_cast<double>(cell.blind_answers) > kWorthSaying * scored;
}

std::string unscored_note(const std::vector<CellSummary>& cells) {
  const CellSummary* cell = any_cell(cells);
  if (cell == nullptr || cell->unscored_answers == 0) return "";
  return fmt::format(
      "{} of {} answers have no scored token (the last one is not scored) and count nothing.",
      cell->unscored_answers, cell->samples);
}

std::string divergence_note(const std::vector<CellSummary>& cells) {
  for (const CellSummary& cell : cells) {
    if (!cell.ok() || !cell.mean_kl) continue;
    const auto samples = static_cast<int64_t>(cell.kl.samples.size());
    if (samples == cell.samples) return "";
    return fmt::format(
        "Over {} of {} samples: of the other answers no token but the first is scored, and that "
        "one's distribution comes from the uncompressed prompt.",
        samples, cell.samples);
  }
  return "";
}

std::string undefined_note(const std::vector<CellSummary>& cells, const Measure& measure) {
  if (!measure.text_metric) return "";
  int64_t least = -1;
  int64_t most = 0;
  int64_t samples = 0;
  for (const CellSummary& cell : cells) {
    if (!cell.ok() || cell.cell.hidden) continue;
    const int64_t undefined = cell.undefined[*measure.text_metric];
    least = least < 0 ? undefined : std::min(least, undefined);
    most = std::max(most, undefined);
    samples = cell.samples;
  }
  if (most == 0) return "";
  const std::string count =
      least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most);
  return fmt::format(
      "In {} of {} pairs{} a text has not {}: {} has no score for them, and they count as 0, the "
      "full cache beside itself too.",
      count, samples, least == most ? "" : " of a cell", measure.missing_words, measure.name);
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

std::string blind_answers_note(const std::vector<CellSummary>& cells) {
  const CellSummary* cell = any_cell(cells);
  if (cell == nullptr || !worth_saying(*cell)) return "";
  const size_t scored = cell->tokens.size();
  return fmt::format("{} of {} answers ({:.1f} %) have one scored token", cell->blind_answers,
                     scored,
                     100 * static_cast<double>(cell->blind_answers) / static_cast<double>(scored));
}

std::string blind_categories_note(const ReportGroup& group) {
  std::string text;
  for (const CategorySummary& category : group.categories) {
    const CellSummary* cell = any_cell(category.cells);
    if (cell == nullptr || !worth_saying(*cell)) continue;
    text += fmt::format("{}{} {} of {}", text.empty() ? "" : ", ", category.name,
                        cell->blind_answers, cell->tokens.size());
  }
  return text.empty() ? ""
                      : "Answers with one scored token, which no strategy changes: " + text + ".";
}

std::vector<std::string> notes_above(const ReportGroup& group, const Measure& measure) {
  std::vector<std::string> notes;
  const auto add = [&](std::string note) {
    if (!note.empty()) notes.push_back(std::move(note));
  };
  const std::vector<CellSummary>& cells = group.summary.cells;
  if (measure.name == "ppl") {
    std::string blind = blind_answers_note(cells);
    if (!blind.empty()) {
      blind +=
          ": the uncompressed prompt's own logits score it, so that every strategy equals the full "
          "cache there. They are left out of paired differences; metrics.perplexity.score_end: "
          "true "
          "scores the end of an answer as well.";
    }
    add(std::move(blind));
    add(unscored_note(cells));
  }
  if (measure.name == "mean_kl") add(divergence_note(cells));
  add(undefined_note(cells, measure));
  add(controls_note(group, measure));
  return notes;
}

std::string difference_note(const ReportGroup& group, const Measure& measure) {
  std::string note =
      "Paired over samples; * where the interval excludes 0; p is adjusted by Holm's procedure for "
      "all differences of the table.";
  if (measure.difference_name != "log_ppl") return note;
  note += " exp of a number is a ratio of perplexities.";
  const CellSummary* cell = any_cell(group.summary.cells);
  if (cell != nullptr && cell->blind_answers > 0) {
    note += fmt::format(" {} of {} answers have one scored token and are left out.",
                        cell->blind_answers, cell->tokens.size());
  }
  return note;
}

}  // namespace elastikv
