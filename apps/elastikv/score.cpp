#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "base/strings.h"
#include "examples.h"
#include "metrics/text_metrics.h"
#include "report/score_tables.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

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

int score(const ScoreOptions& options) {
  ScoredFiles scores{.metrics = TextMetrics(options.metrics),
                     .per_line = options.per_line,
                     .per_category = options.per_category,
                     .bootstrap = options.bootstrap,
                     .seed = options.seed};
  for (const std::string& file : options.files) {
    std::string origin;
    const std::string text = read_all(file, origin);
    scores.add(origin, text);
  }
  const std::string report = write_scores(scores, options.format);
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
  const std::vector<std::string> forms = form_names(score_forms());
  verb->add_option("--format", options->format, listed(forms, "or"))
      ->check(CLI::IsMember(forms))
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
