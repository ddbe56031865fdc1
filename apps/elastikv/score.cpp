#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "base/json_problem.h"
#include "base/utf8.h"
#include "examples.h"
#include "metrics/clusters.h"
#include "metrics/intervals.h"
#include "metrics/text_metrics.h"
#include "report/table.h"
#include "text/json_text.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

struct ScoreOptions {
  std::vector<std::string> files;
  std::vector<std::string> metrics = text_metric_names();
  std::string format = "table";
  std::string output;
  bool per_line = false;
  bool per_category = false;
  int64_t bootstrap = Bootstrap::kDefaultReplicates;
  uint64_t seed = Bootstrap::kDefaultSeed;
};

struct Total {
  MeanEstimate f;
  std::optional<Interval> interval;
  int64_t undefined = 0;  // lines whose 0 stands for "no score"
  std::string signature;
};

struct ScoredLine {
  Json id;                        // string or number, as given
  std::string id_text;            // the same, as text
  std::vector<TextScore> scores;  // [metrics]
  std::vector<std::string> categories;
  std::string cluster;  // lines of one are resampled as one; empty: a cluster of its own
};

/// What exported predictions say of where they come from.
constexpr std::array<const char*, 4> kLabels{"model", "data", "strategy", "budget"};

/// One file's lines.
struct ScoredFile {
  std::string name;
  std::vector<ScoredLine> lines;
  /// Of kLabels, what all lines agree on; empty where they do not, or say nothing.
  std::array<std::string, kLabels.size()> labels;
  bool several_references = false;
  std::vector<Total> totals;  // [metrics]
  /// By category; a line of several categories counts in each.
  std::map<std::string, std::vector<Total>> categories;
};

std::string read_all(const std::string& file, std::string& origin) {
  if (file == "-") {
    origin = "standard input";
    return {std::istreambuf_iterator<char>(std::cin), {}};
  }
  origin = file;
  if (is_folder(file)) fail("{}: is a folder, a JSONL file is needed", file);
  // Not a memory map: the file may be a pipe, as in `elastikv score <(jq ...)`.
  std::ifstream in(file, std::ios::binary);
  if (!in) fail("{}: cannot open: {}", file, std::strerror(errno));
  return {std::istreambuf_iterator<char>(in), {}};
}

JsonFields parse_line(std::string_view line, const std::string& place) {
  const size_t malformed = find_broken_utf8(line);
  if (malformed != std::string_view::npos) fail("{}:{}: not valid UTF-8", place, malformed + 1);
  if (is_nested_too_deep(line)) {
    fail("{}: not read: nested deeper than {} levels", place, kMostJsonLevels);
  }
  try {
    nlohmann::json value = nlohmann::json::parse(line);
    if (!value.is_object()) {
      fail("{}: each line must be an object with id, reference and candidate, this is {}", place,
           value.type_name());
    }
    return {std::move(value), place};
  } catch (const nlohmann::json::parse_error& error) {
    const JsonProblem problem = json_problem(line, error.byte, error.what());
    fail("{}:{}: not valid JSON: {}", place, problem.column, problem.reason);
  } catch (const nlohmann::json::exception&) {
    fail("{}: not valid JSON (a number is out of range)", place);
  }
}

/// A string, or a list of strings.
std::vector<std::string> texts_at(const JsonFields& fields, const char* key) {
  if (!fields.has(key) || !fields.json()[key].is_array()) return {fields.string(key)};
  std::vector<std::string> texts = fields.strings(key);
  if (texts.empty()) fields.fail_key(key, "is an empty list, at least one string is needed");
  return texts;
}

/// Keeps a label as long as all lines agree on it.
void note_labels(const JsonFields& fields, bool first, ScoredFile& file) {
  for (size_t i = 0; i < kLabels.size(); ++i) {
    const nlohmann::json& json = fields.json();
    const bool given = json.contains(kLabels[i]) && json[kLabels[i]].is_string();
    const std::string label = given ? json[kLabels[i]].get<std::string>() : "";
    if (first) {
      file.labels[i] = label;
    } else if (file.labels[i] != label) {
      file.labels[i].clear();
    }
  }
}

ScoredFile score_lines(const std::string& name, const ScoreOptions& options,
                       const TextMetrics& metrics) {
  ScoredFile file;
  const std::string text = read_all(name, file.name);
  std::map<std::string, int64_t> line_of_id;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}:{}", file.name, number);
    const JsonFields fields = parse_line(line, place);
    if (!fields.has("id")) fields.fail_key("id", "is missing (a string or a number is needed)");
    const nlohmann::json& id = fields.json()["id"];
    if (!id.is_string() && !id.is_number())
      fields.fail_key("id", fmt::format("is {}, a string or a number is needed", id.dump()));
    ScoredLine scored{.id = id,
                      .id_text = id.is_string() ? id.get<std::string>() : id.dump(),
                      .scores = {},
                      .categories = {},
                      .cluster = {}};
    const auto [earlier, is_new] = line_of_id.try_emplace(scored.id_text, number);
    if (!is_new) {
      fields.fail_key("id", fmt::format("is {} like that of line {}; ids must differ", id.dump(),
                                        earlier->second));
    }
    const std::vector<std::string> references = texts_at(fields, "reference");
    file.several_references = file.several_references || references.size() > 1;
    scored.scores = metrics.score_best(references, fields.string("candidate"));
    if (options.per_category && fields.has("category"))
      scored.categories = texts_at(fields, "category");
    if (fields.has("cluster")) scored.cluster = fields.string("cluster");
    note_labels(fields, file.lines.empty(), file);
    file.lines.push_back(std::move(scored));
  }
  if (file.lines.empty()) fail("{}: holds no lines to score", file.name);
  return file;
}

std::vector<Total> total_up(const std::vector<const ScoredLine*>& lines, bool several_references,
                            const TextMetrics& metrics, const ScoreOptions& options) {
  const SignatureContext context{.reference = several_references ? "best-of-given" : "given",
                                 .bootstrap = options.bootstrap,
                                 .seed = options.seed};
  std::vector<std::string> names;
  names.reserve(lines.size());
  for (const ScoredLine* line : lines) names.push_back(line->cluster);
  const Clusters clusters(names);
  std::vector<Total> totals;
  for (size_t m = 0; m < metrics.names().size(); ++m) {
    std::vector<double> f;
    Total total;
    for (const ScoredLine* line : lines) {
      f.push_back(line->scores[m].f);
      total.undefined += line->scores[m].defined ? 0 : 1;
    }
    total.f = estimate_mean(f, clusters);
    if (options.bootstrap > 0) {
      total.interval =
          Bootstrap(options.bootstrap, options.seed).mean_interval(f, clusters, {0, 1});
    }
    total.signature = metrics.signature(m, context);
    totals.push_back(std::move(total));
  }
  return totals;
}

/// Fills in the file's totals.
void total_up(const TextMetrics& metrics, const ScoreOptions& options, ScoredFile& file) {
  std::vector<const ScoredLine*> all;
  std::map<std::string, std::vector<const ScoredLine*>> by_category;
  for (const ScoredLine& line : file.lines) {
    all.push_back(&line);
    const std::set<std::string> once(line.categories.begin(), line.categories.end());
    for (const std::string& category : once) by_category[category].push_back(&line);
  }
  file.totals = total_up(all, file.several_references, metrics, options);
  if (options.per_category && by_category.empty())
    fail("{}: --per-category needs lines with a 'category'", file.name);
  for (const auto& [category, lines] : by_category)
    file.categories[category] = total_up(lines, file.several_references, metrics, options);
}

Json totals_json(const std::vector<Total>& totals, const TextMetrics& metrics) {
  Json all = Json::object();
  for (size_t m = 0; m < totals.size(); ++m) {
    const Total& total = totals[m];
    Json entry{{"mean", total.f.mean}, {"standard_error", nullptr}, {"ci", nullptr}};
    if (total.f.standard_error) entry["standard_error"] = *total.f.standard_error;
    if (total.interval) entry["ci"] = {total.interval->low, total.interval->high};
    entry["n"] = total.f.samples;
    entry["clusters"] = total.f.clusters;
    entry["undefined"] = total.undefined;
    entry["signature"] = total.signature;
    all[metrics.names()[m]] = std::move(entry);
  }
  return all;
}

/// One file's scores, added to what stands in `report`.
void add_json(const ScoredFile& file, const TextMetrics& metrics, Json& report) {
  report["metrics"] = totals_json(file.totals, metrics);
  if (!file.categories.empty()) report["categories"] = Json::object();
  for (const auto& [category, totals] : file.categories)
    report["categories"][category] = totals_json(totals, metrics);
  report["lines"] = Json::array();
  for (const ScoredLine& line : file.lines) {
    Json entry{{"id", line.id}};
    for (size_t m = 0; m < metrics.names().size(); ++m) {
      const TextScore& score = line.scores[m];
      Json values{{"p", score.precision}, {"r", score.recall}, {"f", score.f}};
      if (!score.defined) values["undefined"] = true;
      entry[metrics.names()[m]] = std::move(values);
    }
    report["lines"].push_back(std::move(entry));
  }
}

std::string as_json(const std::vector<ScoredFile>& files, const TextMetrics& metrics) {
  Json report = Json::object();
  if (files.size() == 1) {
    add_json(files.front(), metrics, report);
  } else {
    report["files"] = Json::array();
    for (const ScoredFile& file : files) {
      Json entry{{"file", file.name}};
      for (size_t i = 0; i < kLabels.size(); ++i) {
        if (!file.labels[i].empty()) entry[kLabels[i]] = file.labels[i];
      }
      add_json(file, metrics, entry);
      report["files"].push_back(std::move(entry));
    }
  }
  return json_text(std::move(report), /*indent=*/2) + "\n";
}

void add_means(const std::string& start, const std::vector<Total>& totals,
               const TextMetrics& metrics, std::string& text) {
  for (size_t m = 0; m < totals.size(); ++m) {
    const Total& total = totals[m];
    const std::string interval =
        total.interval ? fmt::format("{},{}", total.interval->low, total.interval->high) : ",";
    fmt::format_to(std::back_inserter(text), "{},{},,,{},{},{},{},{}\n", start, metrics.names()[m],
                   total.f.mean, interval, total.f.samples, total.undefined,
                   csv_field(total.signature));
  }
}

/// One row per line and metric, then one per metric with the mean F (`row` tells them apart), then
/// the same by category; with a column for the file where there are several.
std::string as_csv(const std::vector<ScoredFile>& files, const TextMetrics& metrics) {
  const bool several = files.size() > 1;
  std::string text = several ? "file," : "";
  text += "row,id,metric,p,r,f,ci_low,ci_high,n,undefined,signature\n";
  for (const ScoredFile& file : files) {
    const std::string start = several ? csv_field(file.name) + "," : "";
    for (const ScoredLine& line : file.lines) {
      for (size_t m = 0; m < metrics.names().size(); ++m) {
        const TextScore& score = line.scores[m];
        fmt::format_to(std::back_inserter(text), "{}line,{},{},{},{},{},,,,{},\n", start,
                       csv_field(line.id_text), metrics.names()[m], score.precision, score.recall,
                       score.f, score.defined ? 0 : 1);
      }
    }
    add_means(start + "mean,", file.totals, metrics, text);
    for (const auto& [category, totals] : file.categories)
      add_means(fmt::format("{}category,{}", start, csv_field(category)), totals, metrics, text);
  }
  return text;
}

std::string lines_table(const ScoredFile& file, const std::vector<std::string>& names) {
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
std::string metrics_table(const std::vector<Total>& totals, const std::vector<std::string>& names) {
  std::string text;
  auto out = std::back_inserter(text);
  size_t name_width = 6;
  for (const std::string& name : names) name_width = std::max(name_width, name.size());
  fmt::format_to(out, "{:<{}}  mean F  95 % interval         n\n", "metric", name_width);
  for (size_t m = 0; m < names.size(); ++m) {
    const Total& total = totals[m];
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
std::string joined_table(const std::vector<ScoredFile>& files, const TextMetrics& metrics,
                         bool per_category) {
  // Files are known by their labels where these tell all of them apart.
  std::set<std::array<std::string, kLabels.size()>> different;
  for (const ScoredFile& file : files) different.insert(file.labels);
  const bool labelled = different.size() == files.size();
  std::vector<size_t> shown;
  for (size_t i = 0; labelled && files.size() > 1 && i < kLabels.size(); ++i) {
    const bool differs = std::any_of(files.begin(), files.end(), [&](const ScoredFile& file) {
      return file.labels[i] != files.front().labels[i];
    });
    if (differs) shown.push_back(i);
  }
  Table table;
  for (const size_t i : shown) table.header.emplace_back(kLabels[i]);
  if (files.size() > 1 && shown.empty()) table.header.emplace_back("file");
  if (per_category) table.header.emplace_back("category");
  const size_t left_columns = table.header.size();
  table.header.emplace_back("n");
  for (const std::string& name : metrics.names()) table.header.push_back(name);
  const auto add = [&](const ScoredFile& file, const std::string& category,
                       const std::vector<Total>& totals) {
    std::vector<std::string>& row = table.rows.emplace_back();
    for (const size_t i : shown) row.push_back(file.labels[i]);
    if (files.size() > 1 && shown.empty()) row.push_back(file.name);
    if (per_category) row.push_back(category);
    row.push_back(std::to_string(totals.front().f.samples));
    for (const Total& total : totals) {
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

std::string as_table(const std::vector<ScoredFile>& files, const TextMetrics& metrics,
                     const ScoreOptions& options) {
  std::string text;
  const std::vector<std::string>& names = metrics.names();
  const bool several = files.size() > 1;
  for (const ScoredFile& file : files) {
    if (!options.per_line) break;
    if (several) text += file.name + "\n\n";
    text += lines_table(file, names);
  }
  if (!several) text += metrics_table(files.front().totals, names);
  if (!several && options.per_category) text += '\n';
  if (several || options.per_category) text += joined_table(files, metrics, options.per_category);
  text += '\n';
  std::set<std::string> signatures;  // files with several references have others
  for (const ScoredFile& file : files) {
    for (const Total& total : file.totals) {
      if (signatures.insert(total.signature).second) text += total.signature + '\n';
    }
  }
  for (const ScoredFile& file : files) {
    for (size_t m = 0; m < names.size(); ++m) {
      const Total& total = file.totals[m];
      if (total.undefined == 0) continue;
      fmt::format_to(std::back_inserter(text),
                     "{}{}: in {} of {} lines a text has not {}: no score, counted as 0\n",
                     several ? file.name + ": " : "", names[m], total.undefined, total.f.samples,
                     metrics.missing_words(m));
    }
    const MeanEstimate& first = file.totals.front().f;
    if (first.clusters != first.samples) {
      fmt::format_to(std::back_inserter(text), "{}{} lines in {} clusters, resampled as one each\n",
                     several ? file.name + ": " : "", first.samples, first.clusters);
    }
  }
  return text;
}

int score(const ScoreOptions& options) {
  const TextMetrics metrics(options.metrics);
  std::vector<ScoredFile> files;
  for (const std::string& name : options.files) {
    files.push_back(score_lines(name, options, metrics));
    total_up(metrics, options, files.back());
  }
  const std::string report = options.format == "json"  ? as_json(files, metrics)
                             : options.format == "csv" ? as_csv(files, metrics)
                                                       : as_table(files, metrics, options);
  if (options.output.empty()) {
    std::fwrite(report.data(), 1, report.size(), stdout);
    if (std::fflush(stdout) != 0) fail("standard output: cannot write: {}", std::strerror(errno));
  } else {
    write_file_atomically(options.output, report);
  }
  return 0;
}

}  // namespace

void add_score_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<ScoreOptions>();
  CLI::App* verb = app.add_subcommand(
      "score",
      "Score candidate texts against reference texts: ROUGE with intervals and signatures.");
  verb->add_option(
          "files", options->files,
          "JSONL, each line {\"id\", \"reference\", \"candidate\"}; a list of references scores "
          "the "
          "best of them; lines of one \"cluster\" are resampled as one; - reads standard input. "
          "Several files are shown as one table. rougeLsum "
          "takes lines of the texts as sentences")
      ->required();
  verb->add_option("--metrics", options->metrics, "Names separated by commas; without it, all")
      ->delimiter(',')
      ->allow_extra_args(false);  // else it would take the file for another name
  verb->add_option("--format", options->format, "table, json or csv")
      ->check(CLI::IsMember({"table", "json", "csv"}))
      ->capture_default_str();
  verb->add_option("--output", options->output, "Write to this file instead of standard output");
  verb->add_flag("--per-line", options->per_line, "Show every line's F in the table as well");
  verb->add_flag("--per-category", options->per_category,
                 "Show the means by the lines' \"category\" (a string or a list) as well");
  verb->add_option("--bootstrap", options->bootstrap,
                   "Replicates for the 95 % intervals, 0 for no intervals")
      ->check(CLI::Range(int64_t{0}, int64_t{1000000}))
      ->capture_default_str();
  verb->add_option("--seed", options->seed, "Seed of the bootstrap")
      ->check(not_negative())
      ->capture_default_str();
  add_examples(
      *verb,
      {{"A line of any system's texts",
        R"(- <<<'{"id": "a", "reference": "a red kite", "candidate": "a kite"}')"},
       {"One metric, the best of two references, as JSON",
        "- --metrics rougeL --format json \\\n"
        R"(    <<<'{"id": "a", "reference": ["a kite", "a bird"], "candidate": "a bird"}')"}});
  verb->callback([options, &chosen] { chosen = [options] { return score(*options); }; });
}

}  // namespace elastikv
