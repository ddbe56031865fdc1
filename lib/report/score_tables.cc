#include "report/score_tables.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace elastikv {
namespace {

std::string lines_text(const ScoredFile& file, const std::vector<std::string>& names) {
  std::string text;
  auto out = std::back_inserter(text);
  size_t id_width = 2;
  for (const ScoredLine& line : file.lines) id_width = std::max(id_width, line.id_text.size());
  fmt::format_to(out, "{:<{}}", "id", id_width);
  for (const std::string& name : names) fmt::format_to(out, "  {:>6}", name);
  text += '\n';
  for (const ScoredLine& line : file.lines) {
    fmt::format_to(out, "{:<{}}", line.id_text, id_width);
    for (size_t m = 0; m < names.size(); ++m)
      fmt::format_to(out, "  {:>{}.4f}", line.scores[m].f, std::max<size_t>(6, names[m].size()));
    text += '\n';
  }
  return text + '\n';
}

/// The metrics of one file, one below the other.
std::string totals_text(const std::vector<ScoreTotal>& totals,
                        const std::vector<std::string>& names) {
  std::string text;
  auto out = std::back_inserter(text);
  size_t name_width = 6;
  for (const std::string& name : names) name_width = std::max(name_width, name.size());
  fmt::format_to(out, "{:<{}}  mean F  95 % interval         n\n", "metric", name_width);
  for (size_t m = 0; m < names.size(); ++m) {
    const ScoreTotal& total = totals[m];
    const std::string interval =
        total.interval ? fmt::format("[{:.4f}, {:.4f}]", total.interval->low, total.interval->high)
                       : "-";
    fmt::format_to(out, "{:<{}}  {:.4f}  {:<16}  {:>4}\n", names[m], name_width, total.f.mean,
                   interval, total.f.samples);
  }
  return text;
}

/// One row per file, or per file and category: what tells them apart, and the metrics' means with
/// their intervals.
std::string joined_text(const ScoredFiles& scores) {
  const std::vector<ScoredFile>& files = scores.files;
  // Files are known by their labels where these tell all of them apart.
  std::set<std::array<std::string, kScoreLabels.size()>> different;
  for (const ScoredFile& file : files) different.insert(file.labels);
  const bool labelled = different.size() == files.size();
  std::vector<size_t> shown;
  for (size_t i = 0; labelled && files.size() > 1 && i < kScoreLabels.size(); ++i) {
    const bool differs = std::any_of(files.begin(), files.end(), [&](const ScoredFile& file) {
      return file.labels[i] != files.front().labels[i];
    });
    if (differs) shown.push_back(i);
  }
  Table table;
  for (const size_t i : shown) table.header.emplace_back(kScoreLabels[i]);
  if (files.size() > 1 && shown.empty()) table.header.emplace_back("file");
  if (scores.per_category) table.header.emplace_back("category");
  const size_t left_columns = table.header.size();
  table.header.emplace_back("n");
  for (const std::string& name : scores.metrics.names()) table.header.push_back(name);
  const auto add = [&](const ScoredFile& file, const std::string& category,
                       const std::vector<ScoreTotal>& totals) {
    std::vector<std::string>& row = table.rows.emplace_back();
    for (const size_t i : shown) row.push_back(file.labels[i]);
    if (files.size() > 1 && shown.empty()) row.push_back(file.name);
    if (scores.per_category) row.push_back(category);
    row.push_back(std::to_string(totals.front().f.samples));
    for (const ScoreTotal& total : totals) {
      row.push_back(total.interval ? fmt::format("{:.4f} [{:.4f}, {:.4f}]", total.f.mean,
                                                 total.interval->low, total.interval->high)
                                   : fmt::format("{:.4f}", total.f.mean));
    }
  };
  for (const ScoredFile& file : files) {
    for (const auto& [category, totals] : file.categories) add(file, category, totals);
    if (files.size() > 1) add(file, "all", file.totals);
  }
  return table.markdown(left_columns);
}

/// Rows of means, each after `start`, the fields before the metric.
void add_means(const std::vector<std::string>& start, const std::vector<ScoreTotal>& totals,
               const TextMetrics& metrics, Table& table) {
  for (size_t m = 0; m < totals.size(); ++m) {
    const ScoreTotal& total = totals[m];
    std::vector<std::string> row = start;
    row.insert(row.end(),
               {metrics.names()[m], "", "", fmt::format("{}", total.f.mean),
                total.interval ? fmt::format("{}", total.interval->low) : "",
                total.interval ? fmt::format("{}", total.interval->high) : "",
                std::to_string(total.f.samples), std::to_string(total.undefined), total.signature});
    table.rows.push_back(std::move(row));
  }
}

}  // namespace

std::string scores_text(const ScoredFiles& scores) {
  std::string text;
  const std::vector<std::string>& names = scores.metrics.names();
  const bool several = scores.files.size() > 1;
  for (const ScoredFile& file : scores.files) {
    if (!scores.per_line) break;
    if (several) text += file.name + "\n\n";
    text += lines_text(file, names);
  }
  if (!several) text += totals_text(scores.files.front().totals, names);
  if (!several && scores.per_category) text += '\n';
  if (several || scores.per_category) text += joined_text(scores);
  text += '\n';
  std::set<std::string> signatures;  // files with several references have others
  for (const ScoredFile& file : scores.files) {
    for (const ScoreTotal& total : file.totals) {
      if (signatures.insert(total.signature).second) text += total.signature + '\n';
    }
  }
  for (const ScoredFile& file : scores.files) {
    for (size_t m = 0; m < names.size(); ++m) {
      const ScoreTotal& total = file.totals[m];
      if (total.undefined == 0) continue;
      fmt::format_to(std::back_inserter(text),
                     "{}{}: in {} of {} lines a text has not {}: no score, counted as 0\n",
                     several ? file.name + ": " : "", names[m], total.undefined, total.f.samples,
                     scores.metrics.missing_words(m));
    }
    const MeanEstimate& first = file.totals.front().f;
    if (first.clusters != first.samples) {
      fmt::format_to(std::back_inserter(text), "{}{} lines in {} clusters, resampled as one each\n",
                     several ? file.name + ": " : "", first.samples, first.clusters);
    }
  }
  return text;
}

Table scores_table(const ScoredFiles& scores) {
  const TextMetrics& metrics = scores.metrics;
  const bool several = scores.files.size() > 1;
  Table table;
  if (several) table.header.emplace_back("file");
  table.header.insert(table.header.end(), {"row", "id", "metric", "p", "r", "f", "ci_low",
                                           "ci_high", "n", "undefined", "signature"});
  for (const ScoredFile& file : scores.files) {
    const auto start = [&](const char* row, const std::string& id) {
      std::vector<std::string> fields;
      if (several) fields.push_back(file.name);
      fields.insert(fields.end(), {row, id});
      return fields;
    };
    for (const ScoredLine& line : file.lines) {
      for (size_t m = 0; m < metrics.names().size(); ++m) {
        const TextScore& score = line.scores[m];
        std::vector<std::string> row = start("line", line.id_text);
        row.insert(row.end(), {metrics.names()[m], fmt::format("{}", score.precision),
                               fmt::format("{}", score.recall), fmt::format("{}", score.f), "", "",
                               "", score.defined ? "0" : "1", ""});
        table.rows.push_back(std::move(row));
      }
    }
    add_means(start("mean", ""), file.totals, metrics, table);
    for (const auto& [category, totals] : file.categories)
      add_means(start("category", category), totals, metrics, table);
  }
  return table;
}

const TableForms& score_forms() {
  static const TableForms forms = forms_with(&TableForm::scores);
  return forms;
}

std::string write_scores(const ScoredFiles& scores, std::string_view form) {
  const TableForm& chosen = find_form(score_forms(), form, "score");
  return chosen.scores != nullptr ? chosen.scores(scores) : chosen.table(scores_table(scores));
}

/// Plain text, for a terminal.
extern const TableForm kTerminalForm{.name = "table", .scores = scores_text};

}  // namespace elastikv
