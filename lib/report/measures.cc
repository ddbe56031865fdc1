#include "report/measures.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "metrics/signature.h"
#include "metrics/text_metrics.h"

namespace elastikv {
namespace {

std::optional<Entry> entry(const std::optional<Mean>& mean) {
  if (!mean) return std::nullopt;
  return Entry{mean->value, mean->interval};
}

/// Over the answers with several scored tokens: what the first one costs is the same in all cells.
std::optional<PairedValues> log_perplexity_pairs(const CellSummary& a, const CellSummary& b) {
  if (!a.ok() || !b.ok()) return std::nullopt;
  if (a.nll.samples != b.nll.samples || a.tokens != b.tokens) {
    fail("{} and {}: scored different numbers of tokens of the same answers", a.cell.id, b.cell.id);
  }
  PairedValues paired;
  std::vector<size_t> samples;
  for (size_t i = 0; i < a.tokens.size(); ++i) {
    if (a.tokens[i] < 2) continue;
    samples.push_back(a.nll.samples[i]);
    paired.a.push_back(a.nll.values[i]);
    paired.b.push_back(b.nll.values[i]);
    paired.weights.push_back(a.tokens[i]);
  }
  if (samples.empty()) return std::nullopt;
  paired.clusters = a.clusters.of(samples);
  return paired;
}

std::optional<PairedValues> mean_pairs(const std::vector<double>& a, const std::vector<double>& b,
                                       const Clusters& clusters) {
  if (a.empty() || a.size() != b.size()) return std::nullopt;
  return PairedValues{a, b, {}, clusters};
}

/// Of the samples that have a value in both.
std::optional<PairedValues> kl_pairs(const CellSummary& cell_a, const CellSummary& cell_b) {
  const SampleValues& a = cell_a.kl;
  const SampleValues& b = cell_b.kl;
  PairedValues paired;
  std::vector<size_t> samples;
  for (size_t i = 0, j = 0; i < a.samples.size() && j < b.samples.size();) {
    if (a.samples[i] == b.samples[j]) {
      samples.push_back(a.samples[i]);
      paired.a.push_back(a.values[i++]);
      paired.b.push_back(b.values[j++]);
    } else if (a.samples[i] < b.samples[j]) {
      ++i;
    } else {
      ++j;
    }
  }
  if (samples.empty()) return std::nullopt;
  paired.clusters = cell_a.clusters.of(samples);
  return paired;
}

Measure perplexity_measure(const SweepConfig& config, const SignatureContext& context) {
  Measure measure;
  measure.name = "ppl";
  measure.title = "Perplexity of the expected answers (lower is better)";
  measure.signature =
      perplexity_signature(config.metrics.score_end          ? ScoredTokens::kAllAndEnd
                           : config.metrics.score_last_token ? ScoredTokens::kAll
                                                             : ScoredTokens::kAllButLast,
                           context);
  measure.read = [](const CellSummary& cell) -> std::optional<Entry> {
    if (!cell.perplexity.ppl) return std::nullopt;
    return Entry{*cell.perplexity.ppl, cell.perplexity.ppl_bootstrap};
  };
  measure.pairs = log_perplexity_pairs;
  measure.difference_name = "log_ppl";
  measure.in_summary = true;
  return measure;
}

Measure text_measure(const TextMetrics& text, size_t i, bool to_full,
                     const SignatureContext& context) {
  Measure measure;
  measure.name = text.names()[i];
  measure.title = fmt::format("{} against {} (mean F, higher is better)", text.names()[i],
                              to_full ? "the full cache's own text" : "the answers");
  measure.signature = text.signature(i, context);
  measure.read = [i](const CellSummary& cell) { return entry(cell.text[i]); };
  measure.pairs = [i](const CellSummary& a, const CellSummary& b) -> std::optional<PairedValues> {
    if (!a.ok() || !b.ok()) return std::nullopt;
    return mean_pairs(a.text_values[i], b.text_values[i], a.clusters);
  };
  measure.difference_name = measure.name;
  measure.in_summary = true;
  measure.higher_is_better = true;
  measure.text_metric = i;
  measure.missing_words = text.missing_words(i);
  return measure;
}

using MeanOf = std::optional<Mean> CellSummary::*;

/// Of values that all samples have.
PairsOf pairs_of(std::vector<double> CellSummary::*values) {
  return [values](const CellSummary& a, const CellSummary& b) {
    return mean_pairs(a.*values, b.*values, a.clusters);
  };
}

Measure agreement_measure(std::string name, std::string title, std::string signature, MeanOf mean,
                          PairsOf pairs) {
  Measure measure;
  measure.difference_name = name;
  measure.name = std::move(name);
  measure.title = std::move(title);
  measure.signature = std::move(signature);
  measure.read = [mean](const CellSummary& cell) { return entry(cell.*mean); };
  measure.pairs = std::move(pairs);
  measure.full_row = false;
  measure.higher_is_better = true;
  measure.in_pairs = false;
  return measure;
}

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<Measure> measures_of(const SweepConfig& config) {
  SignatureContext context;
  context.bootstrap = config.bootstrap.iterations;
  context.seed = config.bootstrap.seed;
  std::vector<Measure> measures;
  if (config.metrics.perplexity) {
    context.reference = "dataset";
    measures.push_back(perplexity_measure(config, context));
  }
  if (!config.metrics.text.empty()) {
    const TextMetrics text(config.metrics.text);
    const bool to_full = config.metrics.reference == TextReference::kFullCache;
    context.reference = to_full ? "full-cache" : "dataset";
    for (size_t i = 0; i < text.names().size(); ++i) {
      measures.push_back(text_measure(text, i, to_full, context));
    }
  }
  if (config.metrics.agreement) {
    context.reference = "full-cache";
    measures.push_back(agreement_measure(
        "first_divergence", "First token that differs from the full cache's text (mean index)",
        first_divergence_signature(context), &CellSummary::first_divergence,
        pairs_of(&CellSummary::divergence_values)));
    measures.push_back(agreement_measure("match_rate",
                                         "Share of tokens equal to the full cache's at their place",
                                         match_rate_signature(context), &CellSummary::match_rate,
                                         pairs_of(&CellSummary::match_values)));
    measures.push_back(agreement_measure(
        "mean_kl", "KL divergence from the full cache's next-token distribution (nats per token)",
        mean_kl_signature(context), &CellSummary::mean_kl, kl_pairs));
    measures.back().higher_is_better = false;
    measures.back().in_pairs = true;
  }
  return measures;
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
