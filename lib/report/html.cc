#include <algorithm>

#include "base/error.h"
#include "report/differences.h"
#include "report/html_parts.h"
#include "report/long_tables.h"
#include "report/markdown.h"
#include "report/missing.h"
#include "report/notes.h"
#include "report/rank_agreement.h"
#include "report/runs.h"
#include "report/svg.h"
#include "report/table_forms.h"
#include "report/task_table.h"
#include "report/turn_tables.h"

namespace elastikv {
namespace {

std::string heading(const ReportGroup& group, size_t number) {
  const GroupSummary& summary = group.summary;
  std::string html = fmt::format("<h2 id=\"group-{}\">{}</h2>\n", number, xml_escape(group.title));
  for (const std::string& note : group.notes) {
    html += fmt::format("<p>{}</p>\n", xml_escape(note));
  }
  html += fmt::format("<p><strong>{}</strong>", sample_count(summary));
  if (summary.samples > 0) {
    html += fmt::format("; prompts of {:.1f} tokens on average", summary.prompt_tokens);
    if (summary.image_tokens > 0) {
      html += fmt::format(", {:.1f} of them images", summary.image_tokens);
    }
  } else {
    html += summary.pending > 0 ? "; there are no numbers yet"
                                : "; no sample is left: there are no numbers";
  }
  html += ". Columns of the tables: KV budget, the fraction of entries kept.</p>\n";
  const std::vector<std::string> lines = missing_lines(summary, as_it_is());
  if (lines.empty()) return html;
  html += "<div class=\"missing\"><strong>What is missing</strong>\n<ul>\n";
  for (const std::string& line : lines) html += fmt::format("<li>{}</li>\n", xml_escape(line));
  return html + "</ul></div>\n";
}

std::string section(const std::string& title, const std::string& table, const std::string& note,
                    const std::vector<std::string>& above = {}) {
  if (table.empty()) return "";
  std::string html = fmt::format("<h3>{}</h3>\n", xml_escape(title));
  for (const std::string& line : above) html += fmt::format("<p>{}</p>\n", xml_escape(line));
  return html + table + note;
}

std::string note(const std::string& text) {
  return fmt::format("<p class=\"note\">{}</p>\n", xml_escape(text));
}

std::string measure_section(const ReportGroup& group, const Measure& measure) {
  const Table table = cross_table(
      group.summary, [&](const CellSummary& cell) { return measure_text(cell, measure); });
  std::vector<std::vector<size_t>> best;
  for (size_t column = 1; column < table.header.size(); ++column) {
    best.push_back(best_cells(group, table.header[column], measure));
  }
  const auto is_best = [&](size_t row, size_t column) {
    if (column == 0) return false;
    const auto place = find_cell(group.summary, table.rows[row][0], table.header[column]);
    const std::vector<size_t>& chosen = best[column - 1];
    return place && std::find(chosen.begin(), chosen.end(), *place) != chosen.end();
  };
  return section(measure.title, html_table(table, is_best),
                 fmt::format("<p class=\"signature\">{}</p>\n", xml_escape(measure.signature)),
                 notes_above(group, measure));
}

std::string difference_sections(const ReportGroup& group) {
  std::string html;
  for (const Measure& measure : group.measures) {
    if (!measure.in_pairs) continue;
    for (const std::string& label : group.compare_with) {
      html += section(
          fmt::format("{} minus that of {} at the same budget", measure.difference_title, label),
          html_table(difference_table(group, measure, strategy_baseline(label))),
          note(difference_note(group, measure)));
    }
  }
  return html;
}

std::string turn_sections(const ReportGroup& group) {
  std::string html;
  for (const TurnTable& one : turn_tables(group))
    html += section(one.title, html_table(one.table), note(one.note));
  return html;
}

std::string category_sections(const ReportGroup& group) {
  std::string html;
  if (group.categories.empty()) return html;
  const std::vector<std::string> budgets = budget_columns(group.summary);
  for (const Measure& measure : group.measures) {
    if (!measure.in_summary) continue;
    const std::string below = category_note(group, measure);
    for (const std::string& budget : budgets) {
      if (budget == "1" && budgets.size() > 1) continue;
      html += section(fmt::format("{} by category at budget {}", measure.name, budget),
                      html_table(category_table(group, measure, budget)), note(below));
    }
  }
  return html;
}

std::string group_section(const ReportGroup& group, size_t number) {
  std::string html = heading(group, number);
  html += html_charts(group);
  html +=
      "<p class=\"note\">Bars and brackets are 95 % bootstrap-t intervals over samples, resampled "
      "alike in all cells; samples of one cluster (one image, one document) are resampled as "
      "one. "
      "Bold: the best of its column and all that the paired bootstrap does "
      "not tell apart from it; the full cache does not take part.</p>\n";
  for (const Measure& measure : group.measures) html += measure_section(group, measure);
  html += difference_sections(group);
  html += section("Achieved budget after the prefill", html_table(budget_table(group.summary)),
                  note("Entries per layer (their share of the prompt), size of K and V; means over "
                       "samples."));
  html += turn_sections(group);
  html += category_sections(group);
  return html + html_samples(group, fmt::format("group-{}", number));
}

std::string provenance(const std::vector<ReportRun>& runs) {
  std::string html = "<h2 id=\"provenance\">Provenance</h2>\n";
  for (const ReportRun& run : runs) {
    const SweepHeader& header = run.sweep.header;
    html += fmt::format("<h3>{}</h3>\n<div class=\"wide\"><table class=\"provenance\"><tbody>\n",
                        xml_escape(run.name));
    const auto row = [&](const std::string& key, const std::string& value) {
      html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", xml_escape(key),
                          xml_escape(value));
    };
    row("sweep", header.name);
    row("ElastiKV", header.program);
    row("settings", header.records_hash);
    for (const auto& [key, value] : header.provenance) row(key, value);
    for (const auto& [name, engine] : header.engines) {
      row(name + " weights", engine.weights);
      row(name + " tokenizer", engine.tokenizer);
      if (!engine.image_processing.empty()) {
        row(name + " image processing", shown_image_processing(engine.image_processing));
      }
    }
    for (const auto& [name, data] : header.data) {
      row("data " + name, fmt::format("{}, content {}, {} samples", data.format, data.content,
                                      data.samples.size()));
    }
    html += "</tbody></table></div>\n";
  }
  return html;
}

/// report.html: one page with everything inside it (style, charts, images), no script and no
/// address that a browser would load, legible in light and dark and in print. Everything that comes
/// from data, models or file names is escaped. Besides what report.md has: charts against budget
/// and bytes, what the strategies keep of a few samples, example texts, and the runs' provenance,
/// which is the one part that differs between a sweep and its repetition.
std::string report_html(const std::vector<ReportRun>& runs,
                        const std::vector<ReportGroup>& groups) {
  const std::string title = xml_escape(report_title(runs));
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<meta "
      "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; img-src "
      "data:\"/>\n<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n"
      "<h1>{}</h1>\n",
      title, html_style(), title);
  const std::string banner = fixture_banner(runs);
  if (!banner.empty()) html += fmt::format("<div class=\"banner\">{}</div>\n", xml_escape(banner));
  for (const ReportRun& run : runs) {
    const std::string command = stable_command(run);
    if (command.empty()) continue;
    html += fmt::format("<p>reproduce: <code>{}</code></p>\n", xml_escape(command));
  }
  html += "<ul>\n";
  for (size_t i = 0; i < groups.size(); ++i) {
    html += fmt::format("<li><a href=\"#group-{}\">{}</a></li>\n", i, xml_escape(groups[i].title));
  }
  html += "<li><a href=\"#provenance\">Provenance</a></li>\n</ul>\n";
  for (size_t i = 0; i < groups.size(); ++i) html += group_section(groups[i], i);
  for (const TaskTable& tasks : task_tables(groups)) {
    html += fmt::format("<h2>{}: tasks</h2>\n{}{}", xml_escape(tasks.model),
                        html_table(task_rows(tasks)), note(task_note(tasks)));
  }
  for (const RankAgreementTable& one : rank_agreement_tables(groups)) {
    html += fmt::format("<h2>{}: the order of the strategies</h2>\n{}{}", xml_escape(one.model),
                        html_table(one.table), note(rank_agreement_note()));
  }
  return html + provenance(runs) + "</body>\n</html>\n";
}

std::vector<ReportFile> report_page(const std::vector<ReportRun>& runs,
                                    const std::vector<ReportGroup>& groups) {
  return {{"report", report_html(runs, groups)}};
}

}  // namespace

std::string html_table(const Table& table, const std::function<bool(size_t, size_t)>& best) {
  if (table.rows.empty()) return "";
  std::string html = "<div class=\"wide\"><table>\n<thead><tr>";
  for (const std::string& field : table.header) {
    html += fmt::format("<th scope=\"col\">{}</th>", xml_escape(field));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (size_t row = 0; row < table.rows.size(); ++row) {
    const std::vector<std::string>& fields = table.rows[row];
    html += fmt::format("<tr><th scope=\"row\">{}</th>", xml_escape(fields[0]));
    for (size_t column = 1; column < fields.size(); ++column) {
      const size_t bracket = fields[column].find(" [");
      std::string text = xml_escape(fields[column].substr(0, bracket));
      if (bracket != std::string::npos) {
        text += fmt::format(" <small>{}</small>", xml_escape(fields[column].substr(bracket + 1)));
      }
      html +=
          fmt::format("<td{}>{}</td>", best && best(row, column) ? " class=\"best\"" : "", text);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

extern const TableForm kHtmlForm{.name = "html", .extension = ".html", .report = report_page};

}  // namespace elastikv
