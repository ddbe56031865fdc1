#include "report/markdown.h"

#include "base/error.h"
#include "report/comparison_output.h"
#include "report/differences.h"
#include "report/long_tables.h"
#include "report/missing.h"
#include "report/notes.h"
#include "report/rank_agreement.h"
#include "report/table_forms.h"
#include "report/task_table.h"
#include "report/turn_tables.h"

namespace elastikv {
namespace {

std::string intro(const std::vector<ReportRun>& runs) {
  std::string text = fmt::format("# {}\n\n", markdown_text(report_title(runs)));
  const std::string banner = fixture_banner(runs);
  if (!banner.empty()) text += fmt::format("> **{}**\n\n", markdown_text(banner));
  return text +
         "Intervals are 95 % bootstrap-t intervals over samples, resampled alike in all cells; "
         "samples "
         "of one cluster (one image, one document) are resampled as one.\n";
}

std::string heading(const ReportGroup& group) {
  const GroupSummary& summary = group.summary;
  std::string text = fmt::format("## {}\n\n", markdown_text(group.title));
  for (const std::string& note : group.notes) text += markdown_text(note) + "\n\n";
  const std::string left_out = left_out_text(summary);
  if (summary.pending > 0) {
    text += fmt::format("**Incomplete: {}.** ", sample_count(summary));
    if (!left_out.empty()) text += fmt::format("Of the others, {}. ", left_out);
  } else if (!left_out.empty()) {
    text += fmt::format("**{}**; {}. ", sample_count(summary), left_out);
  } else {
    text += sample_count(summary) + ". ";
  }
  if (summary.samples == 0) {
    return text + (summary.pending > 0 ? "There are no numbers yet.\n"
                                       : "No sample is left: there are no numbers.\n");
  }
  const std::string amount = amount_note(group);
  if (!amount.empty()) text += amount + ". ";
  text += fmt::format("Prompts of {:.1f} tokens on average", summary.prompt_tokens);
  if (summary.image_tokens > 0) {
    text += fmt::format(", {:.1f} of them images", summary.image_tokens);
  }
  return text + ". Columns: KV budget, the fraction of entries kept.\n";
}

std::string missing(const ReportGroup& group) {
  std::string text;
  for (const std::string& line : missing_lines(group.summary, in_markdown()))
    text += fmt::format("- {}\n", line);
  return text.empty() ? "" : "\n### What is missing\n\n" + text;
}

std::string section(const std::string& title, const Table& table, const std::string& note,
                    const std::vector<std::string>& above = {}) {
  if (table.rows.empty()) return "";
  std::string text = fmt::format("\n### {}\n\n", markdown_text(title));
  for (const std::string& line : above) text += markdown_text(line) + "\n\n";
  text += table.markdown();
  if (!note.empty()) text += fmt::format("\n{}\n", note);
  return text;
}

std::string measure_section(const ReportGroup& group, const Measure& measure) {
  const Table table = cross_table(
      group.summary, [&](const CellSummary& cell) { return measure_text(cell, measure); });
  return section(measure.title, table, fmt::format("`{}`", measure.signature),
                 notes_above(group, measure));
}

/// The data sets of each model beside each other, in their own metrics.
std::string task_sections(const std::vector<ReportGroup>& groups) {
  std::string text;
  for (const TaskTable& tasks : task_tables(groups)) {
    text += fmt::format("\n## {}: tasks\n\n{}\n{}\n", markdown_text(tasks.model),
                        task_rows(tasks).markdown(/*left_columns=*/2), task_note(tasks));
  }
  return text;
}

/// Whether the measures of each model order the strategies alike.
std::string rank_agreement_sections(const std::vector<ReportGroup>& groups) {
  std::string text;
  for (const RankAgreementTable& one : rank_agreement_tables(groups)) {
    text += fmt::format("\n## {}: the order of the strategies\n\n{}\n{}\n",
                        markdown_text(one.model), one.table.markdown(), rank_agreement_note());
  }
  return text;
}

std::string difference_sections(const ReportGroup& group) {
  std::string text;
  for (const Measure& measure : group.measures) {
    if (!measure.in_pairs) continue;
    const std::string& what = measure.difference_title;
    const std::string note = difference_note(group, measure);
    if (measure.minus_full) {
      text += section(what + " minus the full cache's",
                      difference_table(group, measure, full_baseline), note);
    }
    for (const std::string& label : group.compare_with) {
      text += section(fmt::format("{} minus that of {} at the same budget", what, label),
                      difference_table(group, measure, strategy_baseline(label)), note);
    }
  }
  return text;
}

std::string turn_sections(const ReportGroup& group) {
  std::string text;
  for (const TurnTable& one : turn_tables(group)) text += section(one.title, one.table, one.note);
  return text;
}

std::string category_sections(const ReportGroup& group) {
  if (group.categories.empty()) return "";
  std::string text;
  for (const Measure& measure : group.measures) {
    if (!measure.in_summary) continue;
    const std::string note = markdown_text(category_note(group, measure));
    for (const std::string& budget : budget_columns(group.summary)) {
      if (budget == "1" && budget_columns(group.summary).size() > 1) continue;
      text += section(fmt::format("{} by category at budget {}", measure.name, budget),
                      category_table(group, measure, budget), note);
    }
  }
  return text;
}

/// What was generated, where nothing was measured.
std::string generated_section(const ReportGroup& group) {
  if (!group.config.predict_only) return "";
  const Table table = cross_table(group.summary, [&](const CellSummary& cell) -> std::string {
    if (!cell.ok()) return mark(cell);
    return fmt::format("{:.1f} ({:.0f} %)", cell.generated_tokens, 100 * cell.finished);
  });
  return section("Generated tokens", table,
                 "Mean per sample, and the share of texts that ended before the limit. Nothing was "
                 "measured: the sweep only predicted.");
}

/// The tables of all groups.
std::string report_markdown(const std::vector<ReportRun>& runs,
                            const std::vector<ReportGroup>& groups) {
  std::string text = intro(runs);
  for (const ReportRun& run : runs) {
    const std::string command = stable_command(run);
    if (!command.empty()) text += fmt::format("\nreproduce: {}\n", markdown_code(command));
  }
  for (const ReportGroup& group : groups) {
    text += fmt::format("\n{}{}", heading(group), missing(group));
    for (const Measure& measure : group.measures) text += measure_section(group, measure);
    text += difference_sections(group);
    text += generated_section(group);
    text += section("Achieved budget after the prefill", budget_table(group.summary),
                    "Entries per layer (their share of the prompt), size of K and V; means over "
                    "samples.");
    text += turn_sections(group);
    text += category_sections(group);
  }
  return text + task_sections(groups) + rank_agreement_sections(groups);
}

/// Seconds per sample.
std::string speed_markdown(const std::vector<ReportRun>& runs,
                           const std::vector<ReportGroup>& groups) {
  const std::string banner = fixture_banner(runs);
  return fmt::format(
      "# {}: seconds per sample\n\n{}Means over samples. Image, prefill and statistics "
      "are done once for all cells of a sample; scoring (perplexity) and generation "
      "run all cells as one batch, whose time is given.\n\n{}",
      markdown_text(report_title(runs)),
      banner.empty() ? "" : fmt::format("> **{}**\n\n", markdown_text(banner)),
      speed_table(groups).markdown(/*left_columns=*/4));
}

std::vector<ReportFile> report_files(const std::vector<ReportRun>& runs,
                                     const std::vector<ReportGroup>& groups) {
  return {{"report", report_markdown(runs, groups)}, {"speed", speed_markdown(runs, groups)}};
}

/// `command` without an option and, where it has one, its value, which may stand in quotes.
std::string without_option(std::string command, const std::string& option, bool has_value) {
  for (size_t at = command.find(" " + option); at != std::string::npos;
       at = command.find(" " + option, at)) {
    size_t end = at + 1 + option.size();
    if (end < command.size() && command[end] != ' ' && command[end] != '=') {
      at = end;
      continue;
    }
    if (has_value && end < command.size()) {
      ++end;
      const char quote = end < command.size() && command[end] == '\'' ? '\'' : ' ';
      end = command.find(quote, end + 1);
      end = end == std::string::npos ? command.size() : end + (quote == '\'' ? 1 : 0);
    }
    command.erase(at, end - at);
  }
  return command;
}

}  // namespace

std::string report_title(const std::vector<ReportRun>& runs) {
  if (runs.size() == 1) {
    return parse_sweep(runs.front().sweep.header.config, "sweep.json").name;
  }
  std::string title;
  for (const ReportRun& run : runs) title += (title.empty() ? "" : ", ") + run.name;
  return title;
}

std::string stable_command(const ReportRun& run) {
  const auto found = run.sweep.header.provenance.find("reproduce");
  if (found == run.sweep.header.provenance.end()) return "";
  return without_option(without_option(found->second, "--resume", /*has_value=*/false), "--output",
                        /*has_value=*/true);
}

Table budget_table(const GroupSummary& group) {
  return cross_table(group, [&](const CellSummary& cell) -> std::string {
    if (!cell.ok()) return mark(cell);
    const double share = cell.compressed_tokens > 0 ? cell.kept_tokens / cell.compressed_tokens : 0;
    return fmt::format("{:.1f} ({:.3f}), {} MiB", cell.kept_tokens, share,
                       short_number(cell.bytes_prefill / (1024.0 * 1024.0)));
  });
}

std::string summary_markdown(const std::vector<ReportRun>& runs,
                             const std::vector<ReportGroup>& groups) {
  std::string text = intro(runs);
  for (const ReportGroup& group : groups) {
    text += fmt::format("\n{}{}", heading(group), missing(group));
    for (const Measure& measure : group.measures) {
      if (measure.in_summary) text += measure_section(group, measure);
    }
    text += generated_section(group);
  }
  return text + task_sections(groups);
}

/// GitHub's Markdown.
extern const TableForm kMarkdownForm{
    .name = "md", .extension = ".md", .report = report_files, .comparison = comparison_markdown};

}  // namespace elastikv
