#include "report/report.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "report/measures.h"
#include "report/summary.h"
#include "report/table.h"

namespace elastikv {
namespace {

/// Strategies by budgets with low and high beside each value, for all groups.
Table measure_csv(const std::vector<GroupSummary>& groups, const Measure& measure) {
  Table table;
  std::vector<std::string> columns;
  for (const GroupSummary& group : groups) {
    for (const std::string& budget : budget_columns(group)) {
      if (std::find(columns.begin(), columns.end(), budget) == columns.end()) {
        columns.push_back(budget);
      }
    }
  }
  table.header = {"model", "data", "strategy"};
  for (const std::string& budget : columns) {
    table.header.insert(table.header.end(), {budget, budget + "_low", budget + "_high"});
  }
  for (const GroupSummary& group : groups) {
    for (const std::string& strategy : strategy_rows(group)) {
      std::vector<std::string> row{group.group.model_name, group.group.data.name, strategy};
      for (const std::string& budget : columns) {
        const CellSummary* cell = find_cell(group, strategy, budget);
        const std::optional<Entry> value =
            cell != nullptr && cell->ok() ? measure.read(*cell) : std::nullopt;
        row.push_back(value ? long_number(value->value) : "");
        row.push_back(value && value->interval ? long_number(value->interval->low) : "");
        row.push_back(value && value->interval ? long_number(value->interval->high) : "");
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table difference_table(const GroupSummary& group, const Baseline& baseline_of,
                       const Bootstrap& bootstrap) {
  return cross_table(group, [&](const CellSummary& cell) -> std::string {
    const CellSummary* baseline = baseline_of(group, cell);
    if (baseline == nullptr) return "";
    if (!cell.ok()) return mark(cell);
    const auto difference = log_perplexity_difference(cell, *baseline, bootstrap);
    if (!difference) return "-";
    return signed_with_interval(difference->difference, difference->interval);
  });
}

void add_differences(const GroupSummary& group, const std::string& name,
                     const Baseline& baseline_of, const Bootstrap& bootstrap, Table& table) {
  for (const CellSummary& cell : group.cells) {
    const CellSummary* baseline = cell.cell.hidden ? nullptr : baseline_of(group, cell);
    if (baseline == nullptr) continue;
    const auto difference = log_perplexity_difference(cell, *baseline, bootstrap);
    if (!difference) continue;
    const auto& interval = difference->interval;
    table.rows.push_back(
        {group.group.model_name, group.group.data.name, cell.cell.strategy.label,
         cell.cell.budget.text(), name, "log_ppl", long_number(difference->difference),
         interval ? long_number(interval->low) : "", interval ? long_number(interval->high) : "",
         long_number(difference->p_value), std::to_string(difference->samples)});
  }
}

std::string megabytes(double bytes) { return short_number(bytes / (1024.0 * 1024.0)); }

Table budget_table(const GroupSummary& group) {
  return cross_table(group, [&](const CellSummary& cell) -> std::string {
    if (!cell.ok()) return mark(cell);
    const double share = cell.prompt_tokens > 0 ? cell.kept_tokens / cell.prompt_tokens : 0;
    return fmt::format("{:.1f} ({:.3f}), {} MiB", cell.kept_tokens, share,
                       megabytes(cell.bytes_prefill));
  });
}

/// What was generated, where nothing was measured.
Table generated_table(const GroupSummary& group) {
  return cross_table(group, [&](const CellSummary& cell) -> std::string {
    if (!cell.ok()) return mark(cell);
    return fmt::format("{:.1f} ({:.0f} %)", cell.generated_tokens, 100 * cell.finished);
  });
}

/// Every number of every cell but times.
Table cells_table(const std::vector<GroupSummary>& groups, const SweepConfig& config) {
  Table table;
  table.header = {"cell",
                  "model",
                  "data",
                  "strategy",
                  "preset",
                  "budget",
                  "dtype",
                  "status",
                  "samples",
                  "planned_samples",
                  "failed",
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
  for (const std::string& name : config.metrics.text) {
    table.header.insert(table.header.end(), {name, name + "_low", name + "_high"});
  }
  for (const char* name :
       {"undefined_texts", "generated_tokens", "finished", "prompt_tokens", "requested_tokens",
        "kept_tokens", "least_kept", "most_kept", "cache_bytes_prefill", "cache_bytes_end"}) {
    table.header.emplace_back(name);
  }
  for (const GroupSummary& group : groups) {
    for (const CellSummary& cell : group.cells) {
      if (cell.cell.hidden) continue;
      const bool ok = cell.ok();
      const char* status = cell.failed > 0                         ? "failed"
                           : group.samples < group.planned_samples ? "incomplete"
                                                                   : "complete";
      std::vector<std::string> row{cell.cell.id,
                                   cell.cell.model,
                                   cell.cell.data,
                                   cell.cell.strategy.label,
                                   cell.cell.strategy.preset,
                                   cell.cell.budget.text(),
                                   group.group.model.dtype,
                                   status,
                                   std::to_string(cell.samples),
                                   std::to_string(group.planned_samples),
                                   std::to_string(cell.failed),
                                   ok ? std::to_string(cell.perplexity.tokens) : ""};
      const auto add = [&](std::optional<double> value) {
        row.push_back(ok ? long_number(value) : "");
      };
      const auto add_bounds = [&](const std::optional<Interval>& interval) {
        add(interval ? std::optional(interval->low) : std::nullopt);
        add(interval ? std::optional(interval->high) : std::nullopt);
      };
      const auto add_mean = [&](const std::optional<Mean>& mean) {
        add(mean ? std::optional(mean->value) : std::nullopt);
        add_bounds(mean ? mean->interval : std::nullopt);
      };
      add(cell.perplexity.ppl);
      add_bounds(cell.perplexity.ppl_bootstrap);
      add(cell.perplexity.ppl_sample_mean);
      add(cell.perplexity.nll_per_token);
      add(cell.perplexity.bits_per_token);
      add_mean(cell.mean_kl);
      add_mean(cell.match_rate);
      add_mean(cell.first_divergence);
      for (size_t i = 0; i < config.metrics.text.size(); ++i) {
        add_mean(ok ? std::optional(cell.text[i]) : std::nullopt);
      }
      add(static_cast<double>(cell.undefined_texts));
      add(cell.generated_tokens);
      add(cell.finished);
      add(cell.prompt_tokens);
      add(cell.requested_tokens);
      add(cell.kept_tokens);
      add(static_cast<double>(cell.least_kept));
      add(static_cast<double>(cell.most_kept));
      add(cell.bytes_prefill);
      add(cell.bytes_end);
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table speed_table(const std::vector<GroupSummary>& groups) {
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
  for (const GroupSummary& group : groups) {
    for (const CellSummary& cell : group.cells) {
      if (!cell.ok()) continue;
      table.rows.push_back({group.group.model_name, group.group.data.name, cell.cell.strategy.label,
                            cell.cell.budget.text(), seconds(group.shared.image),
                            seconds(group.shared.prefill), seconds(group.shared.statistics),
                            seconds(cell.seconds.compression), seconds(group.shared.scoring),
                            seconds(group.shared.generation)});
    }
  }
  return table;
}

std::string heading(const GroupSummary& group) {
  std::string text = fmt::format("## {} on {}\n\n", group.group.model_name, group.group.data.name);
  if (group.samples < group.planned_samples) {
    text += fmt::format("**Incomplete: {} of {} samples.** ", group.samples, group.planned_samples);
  } else {
    text += fmt::format("{} samples. ", group.samples);
  }
  int64_t tokens = 0;
  for (const CellSummary& cell : group.cells) {
    if (cell.ok()) tokens = std::max(tokens, cell.perplexity.tokens);
  }
  if (tokens > 0) text += fmt::format("{} scored tokens. ", tokens);
  if (group.samples > 0) {
    text += fmt::format("Prompts of {:.1f} tokens on average", group.prompt_tokens);
    if (group.image_tokens > 0)
      text += fmt::format(", {:.1f} of them pictures", group.image_tokens);
    text += ". ";
  }
  return text + "Columns: KV budget, the fraction of entries kept.\n";
}

/// What failed, cell by cell, with the first reason.
std::string failures(const GroupSummary& group) {
  std::string text;
  for (const CellSummary& cell : group.cells) {
    if (cell.failed == 0) continue;
    text += fmt::format("- {}: {} of {} samples failed, first: {}\n", cell.cell.id, cell.failed,
                        cell.samples, cell.error);
  }
  return text.empty() ? "" : "\n### Failures\n\n" + text;
}

std::string section(const std::string& title, const Table& table, const std::string& note) {
  if (table.rows.empty()) return "";
  std::string text = fmt::format("\n### {}\n\n{}", title, table.markdown());
  if (!note.empty()) text += fmt::format("\n{}\n", note);
  return text;
}

}  // namespace

Report make_report(const StoredSweep& sweep) {
  const SweepConfig config = parse_sweep(sweep.header.config, "sweep.json");
  const std::vector<GroupSummary> groups = summarize(sweep, config);
  const Bootstrap bootstrap(config.bootstrap.iterations, config.bootstrap.seed);
  const std::vector<Measure> measures = measures_of(config);
  Report report;
  const std::string intro = fmt::format(
      "# {}\n\nIntervals are 95 % bootstrap intervals over samples, resampled alike in all "
      "cells.\n",
      config.name);
  std::string markdown = intro;
  report.summary = intro;
  for (const GroupSummary& group : groups) {
    const std::string head = fmt::format("\n{}{}", heading(group), failures(group));
    markdown += head;
    report.summary += head;
    report.complete = report.complete && group.samples == group.planned_samples;
    for (const CellSummary& cell : group.cells) {
      report.complete = report.complete && cell.failed == 0;
    }
    for (const Measure& measure : measures) {
      const std::string text = section(measure.title, measure_table(group, measure),
                                       fmt::format("`{}`", measure.signature));
      markdown += text;
      if (measure.in_summary) report.summary += text;
    }
    if (config.metrics.perplexity) {
      const std::string note =
          "Paired over samples; * where the interval excludes 0. exp of a number is a ratio of "
          "perplexities.";
      markdown += section("Log-perplexity minus the full cache's",
                          difference_table(group, full_baseline, bootstrap), note);
      for (const std::string& label : config.compare_with) {
        markdown +=
            section(fmt::format("Log-perplexity minus that of {} at the same budget", label),
                    difference_table(group, strategy_baseline(label), bootstrap), note);
      }
    }
    if (config.predict_only) {
      const std::string text = section(
          "Generated tokens", generated_table(group),
          "Mean per sample, and the share of texts that ended before the limit. Nothing was "
          "measured: the sweep only predicted.");
      markdown += text;
      report.summary += text;
    }
    markdown += section("Achieved budget after the prefill", budget_table(group),
                        "Entries per layer (their share of the prompt), size of K and V; means "
                        "over samples.");
  }

  report.files.push_back({"report.md", markdown});
  for (const Measure& measure : measures) {
    report.files.push_back({measure.name + ".csv", measure_csv(groups, measure).csv()});
  }
  if (config.metrics.perplexity) {
    Table differences;
    differences.header = {"model",      "data", "strategy", "budget",  "baseline", "measure",
                          "difference", "low",  "high",     "p_value", "samples"};
    for (const GroupSummary& group : groups) {
      add_differences(group, "full", full_baseline, bootstrap, differences);
      for (const std::string& label : config.compare_with) {
        add_differences(group, label, strategy_baseline(label), bootstrap, differences);
      }
    }
    report.files.push_back({"differences.csv", differences.csv()});
  }
  report.files.push_back({"cells.csv", cells_table(groups, config).csv()});
  const Table speed = speed_table(groups);
  report.files.push_back(
      {"speed.md",
       fmt::format("# {}: seconds per sample\n\nMeans over samples. Image, prefill and statistics "
                   "are done once for all cells of a sample; scoring (perplexity) and generation "
                   "run all cells as one batch, whose time is given.\n\n{}",
                   config.name, speed.markdown(/*left_columns=*/4))});
  report.files.push_back({"speed.csv", speed.csv()});
  return report;
}

Report write_report(const std::filesystem::path& folder) {
  Report report = make_report(read_stored_sweep(folder));
  for (const ReportFile& file : report.files) write_file_atomically(folder / file.name, file.text);
  return report;
}

}  // namespace elastikv
