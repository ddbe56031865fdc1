#include "report/long_tables.h"

#include <algorithm>

#include "base/error.h"

namespace elastikv {
namespace {

void add_new(const std::string& name, std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

/// The names of all text metrics of all groups.
std::vector<std::string> text_columns(const std::vector<ReportGroup>& groups) {
  std::vector<std::string> names;
  for (const ReportGroup& group : groups) {
    for (const std::string& name : group.config.metrics.text) add_new(name, names);
  }
  return names;
}

const Measure* find_measure(const ReportGroup& group, const std::string& name) {
  for (const Measure& measure : group.measures) {
    if (measure.name == name) return &measure;
  }
  return nullptr;
}

void add_entry(const std::optional<Entry>& entry, std::vector<std::string>& row) {
  row.push_back(entry ? long_number(entry->value) : "");
  row.push_back(entry && entry->interval ? long_number(entry->interval->low) : "");
  row.push_back(entry && entry->interval ? long_number(entry->interval->high) : "");
}

/// The numbers of a cell, after what names it. Empty fields where the cell has none.
void add_cell_numbers(const ReportGroup& group, const CellSummary& cell,
                      const std::vector<std::string>& texts, std::vector<std::string>& row) {
  const bool ok = cell.ok();
  const auto add = [&](std::optional<double> value) {
    row.push_back(ok ? long_number(value) : "");
  };
  const auto add_mean = [&](const std::optional<Mean>& mean) {
    add_entry(ok && mean ? std::optional(Entry{mean->value, mean->interval}) : std::nullopt, row);
  };
  const auto& bounds = cell.perplexity.ppl_bootstrap;
  add(cell.perplexity.ppl);
  add(bounds ? std::optional(bounds->low) : std::nullopt);
  add(bounds ? std::optional(bounds->high) : std::nullopt);
  add(cell.perplexity.ppl_sample_mean);
  add(cell.perplexity.nll_per_token);
  add(cell.perplexity.bits_per_token);
  add_mean(cell.mean_kl);
  add_mean(cell.match_rate);
  add_mean(cell.first_divergence);
  const std::vector<std::string>& own = group.config.metrics.text;
  for (const std::string& name : texts) {
    const auto place = std::find(own.begin(), own.end(), name);
    const bool has = ok && place != own.end();
    add_mean(has ? std::optional(cell.text[static_cast<size_t>(place - own.begin())])
                 : std::nullopt);
  }
  add(static_cast<double>(cell.undefined_texts));
  for (const std::string& name : texts) {
    const auto place = std::find(own.begin(), own.end(), name);
    const bool has = ok && place != own.end();
    row.push_back(has ? std::to_string(cell.undefined[static_cast<size_t>(place - own.begin())])
                      : "");
  }
  add(static_cast<double>(cell.blind_answers));
  add(static_cast<double>(cell.kl.samples.size()));
  add(cell.generated_tokens);
  add(cell.finished);
  add(cell.prompt_tokens);
  add(cell.requested_tokens);
  add(cell.kept_tokens);
  add(static_cast<double>(cell.least_kept));
  add(static_cast<double>(cell.most_kept));
  add(cell.bytes_prefill);
  add(cell.bytes_end);
}

const char* status_of(const GroupSummary& group, const CellSummary& cell) {
  if (cell.failed > 0) return cell.oom == cell.failed ? "oom" : "failed";
  if (group.pending > 0) return "incomplete";
  return group.left_out.empty() ? "complete" : "left out";
}

std::vector<std::string> cells_header(const std::vector<std::string>& texts) {
  std::vector<std::string> header{"cell",
                                  "model",
                                  "data",
                                  "strategy",
                                  "preset",
                                  "budget",
                                  "dtype",
                                  "status",
                                  "samples",
                                  "clusters",
                                  "planned_samples",
                                  "left_out",
                                  "failed",
                                  "oom",
                                  "scored_tokens",
                                  "ppl",
                                  "ppl_low",
                                  "ppl_high",
                                  "ppl_sample_mean",
                                  "nll",
                                  "bits_per_token",
                                  "kl",
                                  "kl_low",
                                  "kl_high",
                                  "match_rate",
                                  "match_low",
                                  "match_high",
                                  "divergence",
                                  "divergence_low",
                                  "divergence_high"};
  for (const std::string& name : texts) {
    header.insert(header.end(), {name, name + "_low", name + "_high"});
  }
  header.emplace_back("undefined_texts");
  for (const std::string& name : texts) header.push_back(name + "_undefined");
  for (const char* name : {"one_token_answers", "kl_samples", "generated_tokens", "finished",
                           "prompt_tokens", "requested_tokens", "kept_tokens", "least_kept",
                           "most_kept", "cache_bytes_prefill", "cache_bytes_end"}) {
    header.emplace_back(name);
  }
  return header;
}

}  // namespace

std::vector<std::string> measure_names(const std::vector<ReportGroup>& groups) {
  std::vector<std::string> names;
  for (const ReportGroup& group : groups) {
    for (const Measure& measure : group.measures) add_new(measure.name, names);
  }
  return names;
}

Table measure_csv(const std::vector<ReportGroup>& groups, const std::string& name) {
  Table table;
  std::vector<std::string> columns;
  for (const ReportGroup& group : groups) {
    for (const std::string& budget : budget_columns(group.summary)) add_new(budget, columns);
  }
  table.header = {"model", "data", "strategy"};
  for (const std::string& budget : columns) {
    table.header.insert(table.header.end(), {budget, budget + "_low", budget + "_high"});
  }
  for (const ReportGroup& group : groups) {
    const Measure* measure = find_measure(group, name);
    if (measure == nullptr) continue;
    for (const std::string& strategy : strategy_rows(group.summary)) {
      std::vector<std::string> row{group.summary.group.model_name, group.summary.group.data.name,
                                   strategy};
      for (const std::string& budget : columns) {
        const std::optional<size_t> place = find_cell(group.summary, strategy, budget);
        const CellSummary* cell = place ? &group.summary.cells[*place] : nullptr;
        add_entry(cell != nullptr && cell->ok() ? measure->read(*cell) : std::nullopt, row);
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table cells_csv(const std::vector<ReportGroup>& groups) {
  const std::vector<std::string> texts = text_columns(groups);
  Table table;
  table.header = cells_header(texts);
  for (const ReportGroup& group : groups) {
    const GroupSummary& summary = group.summary;
    for (const CellSummary& cell : summary.cells) {
      if (cell.cell.hidden) continue;
      std::vector<std::string> row{cell.cell.id,
                                   summary.group.model_name,
                                   summary.group.data.name,
                                   cell.cell.strategy.label,
                                   cell.cell.strategy.preset,
                                   cell.cell.budget.text(),
                                   summary.group.model.dtype,
                                   status_of(summary, cell),
                                   std::to_string(cell.samples),
                                   std::to_string(summary.clusters),
                                   std::to_string(summary.planned_samples),
                                   std::to_string(summary.left_out.size()),
                                   std::to_string(cell.failed),
                                   std::to_string(cell.oom),
                                   cell.ok() ? std::to_string(cell.perplexity.tokens) : ""};
      add_cell_numbers(group, cell, texts, row);
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table categories_csv(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model",  "data",    "category", "samples", "strategy",
                  "budget", "measure", "value",    "low",     "high"};
  for (const ReportGroup& group : groups) {
    for (const CategorySummary& category : group.categories) {
      for (const CellSummary& cell : category.cells) {
        if (cell.cell.hidden) continue;
        for (const Measure& measure : group.measures) {
          if (!measure.in_summary) continue;
          std::vector<std::string> row{group.summary.group.model_name,
                                       group.summary.group.data.name,
                                       category.name,
                                       std::to_string(cell.samples),
                                       cell.cell.strategy.label,
                                       cell.cell.budget.text(),
                                       measure.name};
          add_entry(cell.ok() ? measure.read(cell) : std::nullopt, row);
          table.rows.push_back(std::move(row));
        }
      }
    }
  }
  return table;
}

Table category_table(const ReportGroup& group, const Measure& measure, const std::string& budget) {
  Table table;
  table.header.emplace_back("strategy");
  for (const CategorySummary& category : group.categories) {
    table.header.push_back(fmt::format("{} (n={})", category.name, category.cells.front().samples));
  }
  for (size_t i = 0; i < group.summary.cells.size(); ++i) {
    const Cell& cell = group.summary.cells[i].cell;
    if (cell.hidden || (!cell.is_full() && cell.budget.text() != budget)) continue;
    std::vector<std::string> row{cell.strategy.label};
    for (const CategorySummary& category : group.categories) {
      row.push_back(measure_text(category.cells[i], measure));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table speed_table(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model",
                  "data",
                  "strategy",
                  "budget",
                  "image",
                  "prefill",
                  "statistics",
                  "compression",
                  "scoring (all cells)",
                  "generation (all cells)"};
  const auto seconds = [](double value) { return fmt::format("{:.4f}", value); };
  for (const ReportGroup& group : groups) {
    const SharedSeconds& shared = group.summary.shared;
    for (const CellSummary& cell : group.summary.cells) {
      if (!cell.ok()) continue;
      table.rows.push_back({group.summary.group.model_name, group.summary.group.data.name,
                            cell.cell.strategy.label, cell.cell.budget.text(),
                            seconds(shared.image), seconds(shared.prefill),
                            seconds(shared.statistics), seconds(cell.seconds.compression),
                            seconds(shared.scoring), seconds(shared.generation)});
    }
  }
  return table;
}

}  // namespace elastikv
