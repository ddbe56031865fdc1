#include "report/differences.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace elastikv {
namespace {

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

/// Of McNemar's exact p, in tables with measures that are right or wrong.
constexpr const char* kMcnemarColumn = "p_mcnemar";

bool any_right_or_wrong(const std::vector<ReportGroup>& groups) {
  return std::any_of(groups.begin(), groups.end(), [](const ReportGroup& group) {
    return std::any_of(group.measures.begin(), group.measures.end(), [](const Measure& measure) {
      return measure.in_pairs && measure.right_or_wrong;
    });
  });
}

}  // namespace

void add_difference_rows(std::vector<DifferenceRow> rows, Table& table) {
  const bool mcnemar = table.header.back() == kMcnemarColumn;
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
    if (mcnemar) row.push_back(long_number(difference.mcnemar));
    table.rows.push_back(std::move(row));
  }
}

namespace {

/// What a long table calls a pair of cells, between the data set and the measure.
using FieldsOf = std::function<std::vector<std::string>(const CellPair&)>;

/// A row for each pair that has a difference; they are looked at together.
void add_pairs(const ReportGroup& group, const Measure& measure, const std::vector<CellPair>& pairs,
               const FieldsOf& fields_of, Table& table) {
  const auto differences = group.differences->of(measure, pairs);
  std::vector<DifferenceRow> rows;
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (!differences[i]) continue;
    std::vector<std::string> fields{group.summary.group.model_name, group.summary.group.data.name};
    for (std::string& field : fields_of(pairs[i])) fields.push_back(std::move(field));
    fields.push_back(measure.difference_name);
    rows.push_back({std::move(fields), *differences[i]});
  }
  add_difference_rows(std::move(rows), table);
}

void add_differences(const ReportGroup& group, const std::string& name, const Baseline& baseline_of,
                     Table& table) {
  std::vector<CellPair> pairs;
  for (const CellSummary& cell : group.summary.cells) {
    const CellSummary* baseline = cell.cell.hidden ? nullptr : baseline_of(group.summary, cell);
    if (baseline != nullptr) pairs.push_back({&cell, baseline});
  }
  const auto fields = [&](const CellPair& pair) -> std::vector<std::string> {
    return {pair.a->cell.strategy.label, pair.a->cell.budget.text(), name};
  };
  for (const Measure& measure : group.measures) {
    if (measure.in_pairs) add_pairs(group, measure, pairs, fields, table);
  }
}

/// Every two strategies at a budget.
std::vector<CellPair> pairs_at(const GroupSummary& group, const std::string& budget) {
  std::vector<const CellSummary*> cells;
  for (const std::string& strategy : strategy_rows(group)) {
    const std::optional<size_t> place = find_cell(group, strategy, budget);
    if (place && !group.cells[*place].cell.is_full()) cells.push_back(&group.cells[*place]);
  }
  std::vector<CellPair> pairs;
  for (size_t a = 0; a < cells.size(); ++a) {
    for (size_t b = a + 1; b < cells.size(); ++b) pairs.push_back({cells[a], cells[b]});
  }
  return pairs;
}

/// " p=0.012"
std::string p_text(const std::optional<double>& p_value) {
  if (!p_value) return "";
  return *p_value < 0.001 ? " p<0.001" : fmt::format(" p={:.3f}", *p_value);
}

/// " McNemar p=0.012"
std::string mcnemar_text(const std::optional<double>& p_value) {
  return p_value ? " McNemar" + p_text(p_value) : "";
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
    // A difference is of strategies at one moment, or of the moments of one strategy.
    const StrategyChoice& ours = cell.cell.strategy;
    const StrategyChoice& other = group.cells[*place].cell.strategy;
    const bool same = ours.preset == other.preset && ours.overrides == other.overrides;
    return same || ours.moment == other.moment ? &group.cells[*place] : nullptr;
  };
}

Table difference_table(const ReportGroup& group, const Measure& measure, const Baseline& baseline) {
  std::vector<CellPair> pairs;  // of the cells that the table shows
  for (const CellSummary& cell : group.summary.cells) {
    const CellSummary* other = cell.cell.hidden ? nullptr : baseline(group.summary, cell);
    if (other != nullptr && cell.ok()) pairs.push_back({&cell, other});
  }
  std::vector<std::pair<const CellSummary*, PairedDifference>> differences;
  const auto made = group.differences->of(measure, pairs);
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (made[i]) differences.emplace_back(pairs[i].a, *made[i]);
  }
  const auto holm = adjusted(differences, [](const auto& one) { return one.second; });
  return cross_table(group.summary, [&](const CellSummary& cell) -> std::string {
    if (baseline(group.summary, cell) == nullptr) return "";
    if (!cell.ok()) return mark(cell);
    for (size_t i = 0; i < differences.size(); ++i) {
      if (differences[i].first != &cell) continue;
      const PairedDifference& difference = differences[i].second;
      return signed_with_interval(difference.difference, difference.interval) + p_text(holm[i]) +
             mcnemar_text(difference.mcnemar);
    }
    return "-";
  });
}

std::vector<size_t> best_cells(const ReportGroup& of, const std::string& budget,
                               const Measure& measure) {
  const GroupSummary& group = of.summary;
  std::vector<size_t> candidates;
  std::optional<size_t> best;
  double best_value = 0;
  for (size_t i = 0; i < group.cells.size(); ++i) {
    const CellSummary& cell = group.cells[i];
    if (cell.cell.hidden || cell.cell.is_full() || cell.cell.budget.text() != budget) continue;
    const std::optional<Entry> value = cell.ok() ? measure.read(cell) : std::nullopt;
    if (!value) continue;
    candidates.push_back(i);
    const bool better =
        measure.higher_is_better ? value->value > best_value : value->value < best_value;
    if (!best || better) {
      best = i;
      best_value = value->value;
    }
  }
  std::vector<size_t> chosen;
  if (!best || !measure.read(group.cells[*best])->interval) return chosen;
  std::vector<CellPair> pairs;
  pairs.reserve(candidates.size());
  for (const size_t i : candidates) pairs.push_back({&group.cells[i], &group.cells[*best]});
  const auto differences = of.differences->of(measure, pairs);
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i] != *best) {
      const auto& difference = differences[i];
      if (!difference || !difference->interval) continue;
      if (difference->interval->low > 0 || difference->interval->high < 0) continue;
    }
    chosen.push_back(candidates[i]);
  }
  return chosen;
}

Table differences_csv(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model",      "data", "strategy", "budget",  "baseline", "measure",
                  "difference", "low",  "high",     "p_value", "p_holm",   "samples"};
  if (any_right_or_wrong(groups)) table.header.emplace_back(kMcnemarColumn);
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
  if (any_right_or_wrong(groups)) table.header.emplace_back(kMcnemarColumn);
  for (const ReportGroup& group : groups) {
    for (const Measure& measure : group.measures) {
      if (!measure.in_pairs) continue;
      for (const std::string& budget : budget_columns(group.summary)) {
        const auto fields = [&](const CellPair& pair) -> std::vector<std::string> {
          return {pair.a->cell.strategy.label, pair.b->cell.strategy.label, budget};
        };
        add_pairs(group, measure, pairs_at(group.summary, budget), fields, table);
      }
    }
  }
  return table;
}

}  // namespace elastikv
