#include "report/measures.h"

#include <algorithm>

#include "base/error.h"
#include "metrics/signature.h"
#include "metrics/text_metrics.h"

namespace elastikv {
namespace {

std::optional<Entry> entry(const std::optional<Mean>& mean) {
  if (!mean) return std::nullopt;
  return Entry{mean->value, mean->interval};
}

}  // namespace

std::vector<std::string> budget_columns(const GroupSummary& group) {
  std::vector<std::string> columns;
  bool everything = false;
  for (const CellSummary& cell : group.cells) {
    if (cell.cell.hidden) continue;
    const std::string text = cell.cell.budget.text();
    if (cell.cell.is_full()) {
      everything = true;
    } else if (std::find(columns.begin(), columns.end(), text) == columns.end()) {
      columns.push_back(text);
    }
  }
  if (everything && std::find(columns.begin(), columns.end(), "1") == columns.end()) {
    columns.emplace_back("1");
  }
  return columns;
}

std::vector<std::string> strategy_rows(const GroupSummary& group) {
  std::vector<std::string> rows;
  for (const CellSummary& cell : group.cells) {
    const std::string& label = cell.cell.strategy.label;
    if (!cell.cell.hidden && std::find(rows.begin(), rows.end(), label) == rows.end()) {
      rows.push_back(label);
    }
  }
  return rows;
}

const CellSummary* find_cell(const GroupSummary& group, const std::string& strategy,
                             const std::string& budget) {
  for (const CellSummary& cell : group.cells) {
    if (!cell.cell.hidden && cell.cell.strategy.label == strategy &&
        cell.cell.budget.text() == budget) {
      return &cell;
    }
  }
  return nullptr;
}

std::string mark(const CellSummary& cell) {
  if (cell.failed > 0) return fmt::format("failed {}/{}", cell.failed, cell.samples);
  return "no samples";
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
      const CellSummary* cell = find_cell(group, strategy, budget);
      row.push_back(cell == nullptr ? "" : text(*cell));
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

Table measure_table(const GroupSummary& group, const Measure& measure) {
  return cross_table(group, [&](const CellSummary& cell) -> std::string {
    if (cell.cell.is_full() && !measure.full_row) return "";
    if (!cell.ok()) return mark(cell);
    const std::optional<Entry> value = measure.read(cell);
    return value ? with_interval(value->value, value->interval) : "-";
  });
}

std::vector<Measure> measures_of(const SweepConfig& config) {
  SignatureContext context;
  context.bootstrap = config.bootstrap.iterations;
  context.seed = config.bootstrap.seed;
  std::vector<Measure> measures;
  if (config.metrics.perplexity) {
    context.reference = "dataset";
    const ScoredTokens scored =
        config.metrics.score_last_token ? ScoredTokens::kAll : ScoredTokens::kAllButLast;
    measures.push_back({"ppl", "Perplexity of the expected answers (lower is better)",
                        perplexity_signature(scored, context),
                        [](const CellSummary& cell) -> std::optional<Entry> {
                          if (!cell.perplexity.ppl) return std::nullopt;
                          return Entry{*cell.perplexity.ppl, cell.perplexity.ppl_bootstrap};
                        },
                        /*in_summary=*/true, /*full_row=*/true});
  }
  if (!config.metrics.text.empty()) {
    const TextMetrics text(config.metrics.text);
    const bool to_full = config.metrics.reference == TextReference::kFullCache;
    context.reference = to_full ? "full-cache" : "dataset";
    for (size_t i = 0; i < text.names().size(); ++i) {
      measures.push_back({text.names()[i],
                          fmt::format("{} against {} (mean F, higher is better)", text.names()[i],
                                      to_full ? "the full cache's own text" : "the answers"),
                          text.signature(i, context),
                          [i](const CellSummary& cell) { return entry(cell.text[i]); },
                          /*in_summary=*/true, /*full_row=*/true});
    }
  }
  if (config.metrics.agreement) {
    context.reference = "full-cache";
    measures.push_back({"first_divergence",
                        "First token that differs from the full cache's text (mean index)",
                        first_divergence_signature(context),
                        [](const CellSummary& cell) { return entry(cell.first_divergence); },
                        /*in_summary=*/false, /*full_row=*/false});
    measures.push_back({"match_rate", "Share of tokens equal to the full cache's at their place",
                        match_rate_signature(context),
                        [](const CellSummary& cell) { return entry(cell.match_rate); },
                        /*in_summary=*/false, /*full_row=*/false});
    measures.push_back({"mean_kl",
                        "KL divergence from the full cache's next-token distribution (nats per "
                        "token)",
                        mean_kl_signature(context),
                        [](const CellSummary& cell) { return entry(cell.mean_kl); },
                        /*in_summary=*/false, /*full_row=*/false});
  }
  return measures;
}

const CellSummary* full_baseline(const GroupSummary& group, const CellSummary& cell) {
  return cell.cell.is_full() ? nullptr : &group.cells.front();
}

Baseline strategy_baseline(const std::string& label) {
  return [label](const GroupSummary& group, const CellSummary& cell) -> const CellSummary* {
    if (cell.cell.is_full()) return nullptr;
    for (const CellSummary& other : group.cells) {
      if (other.cell.strategy.label == label &&
          other.cell.budget.text() == cell.cell.budget.text()) {
        return &other == &cell ? nullptr : &other;
      }
    }
    return nullptr;
  };
}

std::optional<PairedDifference> log_perplexity_difference(const CellSummary& cell,
                                                          const CellSummary& baseline,
                                                          const Bootstrap& bootstrap) {
  if (!cell.ok() || !baseline.ok() || cell.nll.empty()) return std::nullopt;
  if (cell.tokens != baseline.tokens) {
    fail("{} and {}: scored different numbers of tokens of the same answers", cell.cell.id,
         baseline.cell.id);
  }
  return paired_log_perplexity_difference(cell.nll, baseline.nll, cell.tokens, bootstrap);
}

}  // namespace elastikv
