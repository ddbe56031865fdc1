#include "report/latex.h"

#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "report/differences.h"
#include "report/long_tables.h"
#include "report/markdown.h"
#include "report/missing.h"
#include "report/notes.h"
#include "report/runs.h"
#include "report/table_forms.h"
#include "report/task_table.h"

namespace elastikv {
namespace {

/// Columns of budgets that fit beside each other on a page.
constexpr size_t kPanelColumns = 8;

const char* escape_of(char c) {
  switch (c) {
    case '\\':
      return "\\textbackslash{}";
    case '{':
      return "\\{";
    case '}':
      return "\\}";
    case '_':
      return "\\_";
    case '&':
      return "\\&";
    case '%':
      return "\\%";
    case '#':
      return "\\#";
    case '$':
      return "\\$";
    case '~':
      return "\\textasciitilde{}";
    case '^':
      return "\\textasciicircum{}";
    case '"':
      return "\\textquotedbl{}";
    case '\'':
      return "\\textquotesingle{}";
    case '`':
      return "\\textasciigrave{}";
    case '<':
      return "\\textless{}";
    case '>':
      return "\\textgreater{}";
    case '|':
      return "\\textbar{}";
    case '[':
      return "{[}";  // after a line end it would be taken for an option
    default:
      return nullptr;
  }
}

/// The code point that begins at `at`, which moves behind it; U+FFFD for bytes that are none.
uint32_t next_code_point(std::string_view text, size_t& at) {
  constexpr uint32_t replacement = 0xFFFD;
  const auto byte = [&](size_t place) { return static_cast<unsigned char>(text[place]); };
  const unsigned char first = byte(at++);
  if (first < 0x80) return first;
  const size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
  if (more == 0 || first > 0xF4) return replacement;
  uint32_t code = first & (0x3FU >> more);
  for (size_t i = 0; i < more; ++i) {
    if (at >= text.size() || (byte(at) & 0xC0U) != 0x80U) return replacement;
    code = (code << 6U) | (byte(at++) & 0x3FU);
  }
  return code;
}

std::string tiny(const std::optional<Interval>& interval) {
  if (!interval) return "";
  return fmt::format("{{\\tiny [{}, {}]}}", short_number(interval->low),
                     short_number(interval->high));
}

/// What one cell puts on its two lines.
struct Lines {
  std::string value;
  std::string interval;
};

Lines lines_of(const CellSummary& cell, const Measure& measure, bool bold) {
  if (!cell.ok()) return {fmt::format("\\textit{{{}}}", latex_escape(mark(cell))), ""};
  const std::optional<Entry> entry = measure.read(cell);
  if (!entry) return {"--", ""};
  const std::string value = short_number(entry->value);
  return {bold ? fmt::format("\\textbf{{{}}}", value) : value, tiny(entry->interval)};
}

/// Budgets that compressed strategies have, split evenly so that each part fits on a page.
std::vector<std::vector<std::string>> panels(const GroupSummary& group) {
  std::vector<std::string> budgets;
  for (const std::string& budget : budget_columns(group)) {
    const bool used =
        std::any_of(group.cells.begin(), group.cells.end(), [&](const CellSummary& cell) {
          return !cell.cell.hidden && !cell.cell.is_full() && cell.cell.budget.text() == budget;
        });
    if (used) budgets.push_back(budget);
  }
  if (budgets.empty()) budgets.emplace_back("1");  // a sweep of the full cache alone
  const size_t parts = (budgets.size() + kPanelColumns - 1) / kPanelColumns;
  std::vector<std::vector<std::string>> all(parts);
  for (size_t i = 0; i < budgets.size(); ++i) all[i * parts / budgets.size()].push_back(budgets[i]);
  return all;
}

std::string full_rows(const GroupSummary& group, const Measure& measure, size_t columns) {
  std::string text;
  for (const CellSummary& cell : group.cells) {
    if (cell.cell.hidden || !cell.cell.is_full() || !measure.full_row) continue;
    const Lines lines = lines_of(cell, measure, /*bold=*/false);
    text += fmt::format("{} & \\multicolumn{{{}}}{{c}}{{{}{}{}}} \\\\\n",
                        latex_escape(cell.cell.strategy.label), columns, lines.value,
                        lines.interval.empty() ? "" : " ", lines.interval);
  }
  return text;
}

std::string strategy_lines(const ReportGroup& group, const Measure& measure,
                           const std::vector<std::string>& budgets, const std::string& strategy,
                           const std::vector<std::vector<size_t>>& best) {
  std::string values = latex_escape(strategy);
  std::string intervals;
  bool any = false;
  bool any_interval = false;
  for (size_t i = 0; i < budgets.size(); ++i) {
    const std::optional<size_t> place = find_cell(group.summary, strategy, budgets[i]);
    Lines lines;
    if (place && !group.summary.cells[*place].cell.is_full()) {
      const bool bold = std::find(best[i].begin(), best[i].end(), *place) != best[i].end();
      lines = lines_of(group.summary.cells[*place], measure, bold);
    }
    any = any || !lines.value.empty();
    any_interval = any_interval || !lines.interval.empty();
    values += fmt::format(" & {}", lines.value);
    intervals += fmt::format(" & {}", lines.interval);
  }
  if (!any) return "";
  values += any_interval ? " \\\\[-3pt]\n" : " \\\\\n";
  return any_interval ? values + intervals + " \\\\\n" : values;
}

std::string panel(const ReportGroup& group, const Measure& measure,
                  const std::vector<std::string>& budgets) {
  std::string text = fmt::format("\\begin{{tabular}}{{l{}}}\n\\toprule\nstrategy",
                                 std::string(budgets.size(), 'c'));
  std::vector<std::vector<size_t>> best;
  for (const std::string& budget : budgets) {
    text += fmt::format(" & {}", latex_escape(budget));
    best.push_back(best_cells(group, budget, measure));
  }
  text += " \\\\\n\\midrule\n";
  const std::string full = full_rows(group.summary, measure, budgets.size());
  std::string others;
  for (const std::string& strategy : strategy_rows(group.summary)) {
    others += strategy_lines(group, measure, budgets, strategy, best);
  }
  text += full;
  if (!full.empty() && !others.empty()) text += "\\midrule\n";
  return text + others + "\\bottomrule\n\\end{tabular}\n";
}

/// A signature, which has no spaces, so that it may break across lines.
std::string breakable(const std::string& signature) {
  std::string text;
  std::string part;
  const auto flush = [&] {
    text += latex_escape(part);
    part.clear();
  };
  for (const char c : signature) {
    part += c;
    if (c != '|' && c != ':') continue;
    flush();
    text += "\\allowbreak{}";
  }
  flush();
  return fmt::format("\\texttt{{{}}}", text);
}

std::string caption(const ReportGroup& group, const Measure& measure, const std::string& banner) {
  const GroupSummary& summary = group.summary;
  std::string text;
  if (!banner.empty()) text += fmt::format("\\textbf{{{}.}} ", latex_escape(banner));
  text += fmt::format("{}, {}; {}", latex_escape(measure.title), latex_escape(group.title),
                      sample_count(summary));
  for (const MissingSample& sample : summary.left_out) {
    text += fmt::format("{}{} ({})",
                        &sample == &summary.left_out.front() ? ", left out in all cells: " : ", ",
                        latex_escape(sample.id), latex_escape(sample.reason));
  }
  if (summary.pending > 0) text += fmt::format(", {} not evaluated yet", summary.pending);
  text += ". Columns: KV budget. ";
  if (summary.samples > 1) {
    text +=
        "In small type 95\\,\\% bootstrap-t intervals over samples. Bold: the best of its column "
        "and all that the paired bootstrap does not tell apart from it. ";
  }
  for (const std::string& note : notes_above(group, measure)) text += latex_escape(note) + " ";
  for (const std::string& note : group.notes) text += latex_escape(note) + " ";
  return text + breakable(measure.signature);
}

std::string table(const ReportGroup& group, const Measure& measure, const std::string& banner) {
  std::string text = fmt::format(
      "\\begin{{table}}[htbp]\n\\centering\n\\caption{{{}}}\n\\medskip\n\\small\n"
      "\\setlength{{\\tabcolsep}}{{3.5pt}}\n",
      caption(group, measure, banner));
  const auto parts = panels(group.summary);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += "\n\\medskip\n";
    text += panel(group, measure, parts[i]);
  }
  return text + "\\end{table}\n";
}

std::string document(const std::vector<ReportRun>& runs, const std::vector<ReportGroup>& groups,
                     const std::vector<ReportFile>& tables) {
  std::string text =
      "\\documentclass[10pt]{article}\n\\usepackage[utf8]{inputenc}\n\\usepackage[T1]{fontenc}\n"
      "\\IfFileExists{lmodern.sty}{\\usepackage{lmodern}}{}\n\\usepackage[a4paper,margin=2cm]{"
      "geometry}\n"
      "\\usepackage{booktabs}\n\\begin{document}\n";
  text += fmt::format("\\section*{{{}}}\n", latex_escape(report_title(runs)));
  const std::string banner = fixture_banner(runs);
  if (!banner.empty()) {
    text += fmt::format("\\noindent\\fbox{{\\textbf{{{}}}}}\n\n", latex_escape(banner));
  }
  for (const ReportRun& run : runs) {
    const std::string command = stable_command(run);
    if (command.empty()) continue;
    text += fmt::format("{{\\raggedright\\noindent reproduce: \\texttt{{{}}}\\par}}\n\n",
                        latex_escape(command));
  }
  for (const ReportGroup& group : groups) {
    const std::vector<std::string> lines = missing_lines(group.summary, as_it_is());
    if (lines.empty()) continue;
    text += fmt::format("\\subsection*{{What is missing: {}}}\n\\begin{{itemize}}\\raggedright\n",
                        latex_escape(group.title));
    for (const std::string& line : lines) text += fmt::format("\\item {}\n", latex_escape(line));
    text += "\\end{itemize}\n";
  }
  for (const ReportFile& file : tables) {
    text += fmt::format("\\input{{{}}}\n", file.name);
  }
  return text + "\\end{document}\n";
}

/// table-MEASURE.tex, booktabs tables of strategies by budgets, one for each group, and report.tex,
/// a document that has them all. A column's best value is set in bold, and with it every one that
/// the paired bootstrap does not tell apart from it; intervals stand small below their values; the
/// full cache has a row of its own above the others.
std::vector<ReportFile> report_latex(const std::vector<ReportRun>& runs,
                                     const std::vector<ReportGroup>& groups) {
  const std::string banner = fixture_banner(runs);
  std::vector<ReportFile> files;
  for (const std::string& name : measure_names(groups)) {
    std::string text;
    for (const ReportGroup& group : groups) {
      for (const Measure& measure : group.measures) {
        if (measure.name != name) continue;
        if (!text.empty()) text += '\n';
        text += table(group, measure, banner);
      }
    }
    // An underscore in a name that \input reads is asking for trouble.
    std::string file = fmt::format("table-{}", name);
    std::replace(file.begin(), file.end(), '_', '-');
    files.push_back({std::move(file), std::move(text)});
  }
  std::string tasks;
  for (const TaskTable& table : task_tables(groups)) tasks += task_latex(table);
  if (!tasks.empty()) files.push_back({"table-tasks", tasks});
  std::string main = document(runs, groups, files);
  files.insert(files.begin(), {"report", std::move(main)});
  return files;
}

}  // namespace

std::string latex_escape(std::string_view text) {
  std::string escaped;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const uint32_t code = next_code_point(text, at);
    if (code < 0x20 || code == 0x7F) {
      escaped += ' ';
    } else if (code < 0x80) {
      const char* replacement = escape_of(static_cast<char>(code));
      if (code == '-' && at < text.size() && text[at] == '-') {
        escaped += "-{}";  // two of them would become a dash
      } else if (code == ',' && at < text.size() && text[at] == ',') {
        escaped += ",{}";  // and these a quotation mark
      } else if (replacement == nullptr) {
        escaped += static_cast<char>(code);
      } else {
        escaped += replacement;
      }
    } else if (code >= 0xA1 && code <= 0x17F) {
      escaped += text.substr(start, at - start);
    } else {
      escaped += fmt::format("{{[}}U+{:04X}]", code);
    }
  }
  return escaped;
}

extern const TableForm kLatexForm{.name = "latex", .extension = ".tex", .report = report_latex};

}  // namespace elastikv
