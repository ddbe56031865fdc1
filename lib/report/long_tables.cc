#include "report/long_tables.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/json_text.h"

namespace elastikv {

void add_entry(const std::optional<Entry>& entry, std::vector<std::string>& row) {
  row.push_back(entry ? long_number(entry->value) : "");
  row.push_back(entry && entry->interval ? long_number(entry->interval->low) : "");
  row.push_back(entry && entry->interval ? long_number(entry->interval->high) : "");
}

namespace {

void add_new(const std::string& name, std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

/// What a column of cells.csv has of a metric.
enum class Of {
  kValue,
  kLow,
  kHigh,
  kMore,            // the number of that name in Measurement::more
  kCount,           // the same, a count: 0 where nothing was measured
  kSamples,         // how many count: likewise
  kUndefined,       // samples without a value of their own
  kUndefinedInAny,  // the same in any metric
};

struct CellColumn {
  std::string name;
  std::string metric;
  Of of;
};

std::string more_field(const Measure& measure, const Measurement& measurement,
                       const CellColumn& column) {
  const auto place = std::find(measure.more.begin(), measure.more.end(), column.name);
  ELASTIKV_ASSERT(place != measure.more.end(), "{} has no {}", measure.name, column.name);
  const std::optional<double>& number =
      measurement.more.at(static_cast<size_t>(place - measure.more.begin()));
  return column.of == Of::kCount ? std::to_string(static_cast<int64_t>(number.value_or(0)))
                                 : long_number(number);
}

size_t undefined_in_any(const CellSummary& cell) {
  std::set<size_t> samples;
  for (const Measurement& measurement : cell.measurements)
    samples.insert(measurement.undefined.begin(), measurement.undefined.end());
  return samples.size();
}

/// Empty where the cell has no such number.
std::string cell_field(const ReportGroup& group, const CellSummary& cell,
                       const CellColumn& column) {
  if (!cell.ok()) return "";
  if (column.of == Of::kUndefinedInAny) return std::to_string(undefined_in_any(cell));
  const Measure* measure = find_measure(group.measures, column.metric);
  if (measure == nullptr) return column.of == Of::kCount || column.of == Of::kSamples ? "0" : "";
  const Measurement& measurement = *cell.measurement(measure->place);
  const std::optional<Interval>& interval = measurement.interval;
  switch (column.of) {
    case Of::kValue:
      return long_number(measurement.value);
    case Of::kLow:
      return interval ? long_number(interval->low) : "";
    case Of::kHigh:
      return interval ? long_number(interval->high) : "";
    case Of::kMore:
    case Of::kCount:
      return more_field(*measure, measurement, column);
    case Of::kSamples:
      return std::to_string(measurement.samples.size());
    case Of::kUndefined:
      return std::to_string(measurement.undefined.size());
    case Of::kUndefinedInAny:
      break;
  }
  throw InternalError("a column of cells.csv without a field");
}

/// The columns of what metrics measured: some that every folder has, whatever was measured, and
/// between them those of all other metrics of all groups.
std::vector<CellColumn> metric_columns(const std::vector<ReportGroup>& groups) {
  std::vector<CellColumn> columns{{"scored_tokens", "ppl", Of::kCount},
                                  {"ppl", "ppl", Of::kValue},
                                  {"ppl_low", "ppl", Of::kLow},
                                  {"ppl_high", "ppl", Of::kHigh},
                                  {"ppl_sample_mean", "ppl", Of::kMore},
                                  {"nll", "ppl", Of::kMore},
                                  {"bits_per_token", "ppl", Of::kMore},
                                  {"kl", "mean_kl", Of::kValue},
                                  {"kl_low", "mean_kl", Of::kLow},
                                  {"kl_high", "mean_kl", Of::kHigh},
                                  {"match_rate", "match_rate", Of::kValue},
                                  {"match_low", "match_rate", Of::kLow},
                                  {"match_high", "match_rate", Of::kHigh},
                                  {"divergence", "first_divergence", Of::kValue},
                                  {"divergence_low", "first_divergence", Of::kLow},
                                  {"divergence_high", "first_divergence", Of::kHigh}};
  std::vector<std::string> known;
  for (const CellColumn& column : columns) add_new(column.metric, known);
  std::vector<CellColumn> further;
  for (const ReportGroup& group : groups) {
    for (const Measure& measure : group.measures) {
      if (std::find(known.begin(), known.end(), measure.name) != known.end()) continue;
      known.push_back(measure.name);
      columns.push_back({measure.name, measure.name, Of::kValue});
      columns.push_back({measure.name + "_low", measure.name, Of::kLow});
      columns.push_back({measure.name + "_high", measure.name, Of::kHigh});
      if (measure.may_be_undefined)
        further.push_back({measure.name + "_undefined", measure.name, Of::kUndefined});
      for (const std::string& more : measure.more)
        further.push_back({more, measure.name, Of::kMore});
    }
  }
  columns.push_back({"undefined_texts", "", Of::kUndefinedInAny});
  columns.insert(columns.end(), further.begin(), further.end());
  columns.push_back({"one_token_answers", "ppl", Of::kCount});
  columns.push_back({"kl_samples", "mean_kl", Of::kSamples});
  return columns;
}

/// What a cell holds, after what was measured of it.
void add_size_fields(const CellSummary& cell, std::vector<std::string>& row) {
  for (const double value :
       {cell.generated_tokens, cell.finished, cell.prompt_tokens, cell.requested_tokens,
        cell.kept_tokens, static_cast<double>(cell.least_kept), static_cast<double>(cell.most_kept),
        cell.bytes_prefill, cell.bytes_end}) {
    row.push_back(cell.ok() ? long_number(value) : "");
  }
}

/// What a strategy sets beyond its preset, as JSON; empty where it sets nothing.
std::string settings_text(const StrategyChoice& strategy) {
  if (strategy.overrides.empty()) return "";
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();
  for (const auto& [key, value] : strategy.overrides) settings[key] = value;
  return json_text(std::move(settings));
}

/// What the column of cells.csv is called that has a number of a metric.
std::string column_of(const std::vector<CellColumn>& columns, const Measure& measure, Of of) {
  for (const CellColumn& column : columns) {
    if (column.metric == measure.name && column.of == of) return column.name;
  }
  throw InternalError("a metric without columns");
}

const char* status_of(const GroupSummary& group, const CellSummary& cell) {
  if (cell.failed > 0) return cell.oom == cell.failed ? "oom" : "failed";
  if (group.pending > 0) return "incomplete";
  return group.left_out.empty() ? "complete" : "left out";
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
    const Measure* measure = find_measure(group.measures, name);
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
  const std::vector<CellColumn> columns = metric_columns(groups);
  Table table;
  table.header = {"cell",   "model",   "data",     "strategy",        "preset",   "budget", "dtype",
                  "status", "samples", "clusters", "planned_samples", "left_out", "failed", "oom"};
  for (const CellColumn& column : columns) table.header.push_back(column.name);
  for (const char* name : {"generated_tokens", "finished", "prompt_tokens", "requested_tokens",
                           "kept_tokens", "least_kept", "most_kept", "cache_bytes_prefill",
                           "cache_bytes_end", "settings", "hidden"}) {
    table.header.emplace_back(name);
  }
  for (const ReportGroup& group : groups) {
    const GroupSummary& summary = group.summary;
    for (const CellSummary& cell : summary.cells) {
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
                                   std::to_string(cell.oom)};
      for (const CellColumn& column : columns) row.push_back(cell_field(group, cell, column));
      add_size_fields(cell, row);
      row.push_back(settings_text(cell.cell.strategy));
      row.emplace_back(cell.cell.hidden ? "yes" : "no");
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table measures_csv(const std::vector<ReportGroup>& groups) {
  const std::vector<CellColumn> columns = metric_columns(groups);
  const auto bound = [](double value) { return std::isfinite(value) ? long_number(value) : ""; };
  Table table;
  table.header = {"model", "data", "measure",  "label", "better", "reference", "summary",
                  "least", "most", "log_from", "value", "low",    "high",      "signature"};
  for (const ReportGroup& group : groups) {
    for (const Measure& measure : group.measures) {
      table.rows.push_back(
          {group.summary.group.model_name, group.summary.group.data.name, measure.name,
           measure.label, measure.higher_is_better ? "higher" : "lower", measure.reference,
           measure.in_summary ? "yes" : "no", bound(measure.bounds.low), bound(measure.bounds.high),
           measure.log_from > 0 ? long_number(measure.log_from) : "",
           column_of(columns, measure, Of::kValue), column_of(columns, measure, Of::kLow),
           column_of(columns, measure, Of::kHigh), measure.signature});
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
