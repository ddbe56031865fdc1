#include <algorithm>
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
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "metrics/intervals.h"
#include "metrics/text_metrics.h"
#include "text/unicode.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

struct ScoreOptions {
  std::string file;
  std::vector<std::string> metrics = text_metric_names();
  std::string format = "table";
  std::string output;
  bool per_line = false;
  int64_t bootstrap = Bootstrap::kDefaultReplicates;
  uint64_t seed = Bootstrap::kDefaultSeed;
};

struct ScoredLine {
  Json id;                        // string or number, as given
  std::string id_text;            // the same, as text
  std::vector<TextScore> scores;  // [metrics]
};

struct Total {
  MeanEstimate f;
  std::optional<Interval> interval;
  int64_t undefined = 0;  // lines whose 0 stands for "no score"
  std::string signature;
};

std::string read_all(const std::string& file, std::string& origin) {
  if (file == "-") {
    origin = "standard input";
    return {std::istreambuf_iterator<char>(std::cin), {}};
  }
  origin = file;
  if (std::filesystem::is_directory(file)) fail("{}: is a folder, a JSONL file is needed", file);
  // Not a memory map: the file may be a pipe, as in `elastikv score <(jq ...)`.
  std::ifstream in(file, std::ios::binary);
  if (!in) fail("{}: cannot open: {}", file, std::strerror(errno));
  return {std::istreambuf_iterator<char>(in), {}};
}

JsonFields parse_line(std::string_view line, const std::string& place) {
  const size_t malformed = find_broken_utf8(line);
  if (malformed != std::string_view::npos) fail("{}:{}: not valid UTF-8", place, malformed + 1);
  try {
    nlohmann::json value = nlohmann::json::parse(line);
    if (!value.is_object()) {
      fail("{}: each line must be an object with id, reference and candidate, this is {}", place,
           value.type_name());
    }
    return {std::move(value), place};
  } catch (const nlohmann::json::parse_error& error) {
    fail("{}:{}: not valid JSON", place, error.byte);
  } catch (const nlohmann::json::exception&) {
    fail("{}: not valid JSON (a number is out of range)", place);
  }
}

std::vector<ScoredLine> score_lines(const ScoreOptions& options, const TextMetrics& metrics) {
  std::string origin;
  const std::string text = read_all(options.file, origin);
  std::vector<ScoredLine> lines;
  std::map<std::string, int64_t> line_of_id;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}:{}", origin, number);
    const JsonFields fields = parse_line(line, place);
    if (!fields.has("id")) fields.fail_key("id", "is missing (a string or a number is needed)");
    const nlohmann::json& id = fields.json()["id"];
    if (!id.is_string() && !id.is_number())
      fields.fail_key("id", fmt::format("is {}, a string or a number is needed", id.dump()));
    ScoredLine scored{
        .id = id, .id_text = id.is_string() ? id.get<std::string>() : id.dump(), .scores = {}};
    const auto [earlier, is_new] = line_of_id.try_emplace(scored.id_text, number);
    if (!is_new) {
      fields.fail_key("id", fmt::format("is {} like that of line {}; ids must differ", id.dump(),
                                        earlier->second));
    }
    scored.scores = metrics.score(fields.string("reference"), fields.string("candidate"));
    lines.push_back(std::move(scored));
  }
  if (lines.empty()) fail("{}: holds no lines to score", origin);
  return lines;
}

std::vector<Total> total_up(const std::vector<ScoredLine>& lines, const TextMetrics& metrics,
                            const ScoreOptions& options) {
  const SignatureContext context{
      .reference = "given", .bootstrap = options.bootstrap, .seed = options.seed};
  std::vector<Total> totals;
  for (size_t m = 0; m < metrics.names().size(); ++m) {
    std::vector<double> f;
    Total total;
    for (const ScoredLine& line : lines) {
      f.push_back(line.scores[m].f);
      total.undefined += line.scores[m].defined ? 0 : 1;
    }
    total.f = estimate_mean(f);
    if (options.bootstrap > 0)
      total.interval = Bootstrap(options.bootstrap, options.seed).mean_interval(f);
    total.signature = metrics.signature(m, context);
    totals.push_back(std::move(total));
  }
  return totals;
}

std::string as_json(const std::vector<ScoredLine>& lines, const std::vector<Total>& totals,
                    const TextMetrics& metrics) {
  Json report{{"metrics", Json::object()}, {"lines", Json::array()}};
  for (size_t m = 0; m < totals.size(); ++m) {
    const Total& total = totals[m];
    Json entry{{"mean", total.f.mean}, {"standard_error", nullptr}, {"ci", nullptr}};
    if (total.f.standard_error) entry["standard_error"] = *total.f.standard_error;
    if (total.interval) entry["ci"] = {total.interval->low, total.interval->high};
    entry["n"] = total.f.samples;
    entry["undefined"] = total.undefined;
    entry["signature"] = total.signature;
    report["metrics"][metrics.names()[m]] = std::move(entry);
  }
  for (const ScoredLine& line : lines) {
    Json entry{{"id", line.id}};
    for (size_t m = 0; m < totals.size(); ++m) {
      const TextScore& score = line.scores[m];
      Json values{{"p", score.precision}, {"r", score.recall}, {"f", score.f}};
      if (!score.defined) values["undefined"] = true;
      entry[metrics.names()[m]] = std::move(values);
    }
    report["lines"].push_back(std::move(entry));
  }
  return report.dump(2) + "\n";
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char letter : text) quoted.append(letter == '"' ? 2 : 1, letter);
  return quoted + '"';
}

/// One row per line and metric, then one per metric with the mean F (`row` tells them apart).
std::string as_csv(const std::vector<ScoredLine>& lines, const std::vector<Total>& totals,
                   const TextMetrics& metrics) {
  std::string text = "row,id,metric,p,r,f,ci_low,ci_high,n,undefined,signature\n";
  auto out = std::back_inserter(text);
  for (const ScoredLine& line : lines) {
    for (size_t m = 0; m < totals.size(); ++m) {
      const TextScore& score = line.scores[m];
      fmt::format_to(out, "line,{},{},{},{},{},,,,{},\n", csv_field(line.id_text),
                     metrics.names()[m], score.precision, score.recall, score.f,
                     score.defined ? 0 : 1);
    }
  }
  for (size_t m = 0; m < totals.size(); ++m) {
    const Total& total = totals[m];
    const std::string interval =
        total.interval ? fmt::format("{},{}", total.interval->low, total.interval->high) : ",";
    fmt::format_to(out, "mean,,{},,,{},{},{},{},{}\n", metrics.names()[m], total.f.mean, interval,
                   total.f.samples, total.undefined, csv_field(total.signature));
  }
  return text;
}

std::string as_table(const std::vector<ScoredLine>& lines, const std::vector<Total>& totals,
                     const TextMetrics& metrics, bool per_line) {
  std::string text;
  auto out = std::back_inserter(text);
  const std::vector<std::string>& names = metrics.names();
  if (per_line) {
    size_t id_width = 2;
    for (const ScoredLine& line : lines) id_width = std::max(id_width, line.id_text.size());
    fmt::format_to(out, "{:<{}}", "id", id_width);
    for (const std::string& name : names) fmt::format_to(out, "  {:>6}", name);
    text += '\n';
    for (const ScoredLine& line : lines) {
      fmt::format_to(out, "{:<{}}", line.id_text, id_width);
      for (size_t m = 0; m < names.size(); ++m)
        fmt::format_to(out, "  {:>{}.4f}", line.scores[m].f, std::max<size_t>(6, names[m].size()));
      text += '\n';
    }
    text += '\n';
  }
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
  text += '\n';
  for (const Total& total : totals) text += total.signature + '\n';
  for (size_t m = 0; m < names.size(); ++m) {
    if (totals[m].undefined > 0) {
      fmt::format_to(out, "{}: {} of {} lines without words on one side, counted as 0\n", names[m],
                     totals[m].undefined, totals[m].f.samples);
    }
  }
  return text;
}

int score(const ScoreOptions& options) {
  const TextMetrics metrics(options.metrics);
  const std::vector<ScoredLine> lines = score_lines(options, metrics);
  const std::vector<Total> totals = total_up(lines, metrics, options);
  const std::string report = options.format == "json" ? as_json(lines, totals, metrics)
                             : options.format == "csv"
                                 ? as_csv(lines, totals, metrics)
                                 : as_table(lines, totals, metrics, options.per_line);
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
          "file", options->file,
          "JSONL, each line {\"id\", \"reference\", \"candidate\"}; - reads standard input. "
          "rougeLsum takes lines of the texts as sentences")
      ->required();
  verb->add_option("--metrics", options->metrics, "Names separated by commas; without it, all")
      ->delimiter(',')
      ->allow_extra_args(false);  // else it would take the file for another name
  verb->add_option("--format", options->format, "table, json or csv")
      ->check(CLI::IsMember({"table", "json", "csv"}))
      ->capture_default_str();
  verb->add_option("--output", options->output, "Write to this file instead of standard output");
  verb->add_flag("--per-line", options->per_line, "Show every line's F in the table as well");
  verb->add_option("--bootstrap", options->bootstrap,
                   "Replicates for the 95 % intervals, 0 for no intervals")
      ->check(CLI::Range(int64_t{0}, int64_t{1000000}))
      ->capture_default_str();
  verb->add_option("--seed", options->seed, "Seed of the bootstrap")
      ->check(not_negative())
      ->capture_default_str();
  verb->callback([options, &chosen] { chosen = [options] { return score(*options); }; });
}

}  // namespace elastikv
