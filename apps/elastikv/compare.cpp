#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/strings.h"
#include "examples.h"
#include "report/comparison.h"
#include "report/comparison_output.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

struct CompareOptions {
  std::vector<std::string> runs;
  std::vector<std::string> with;
  std::vector<std::string> models;
  std::vector<std::string> data;
  std::vector<std::string> strategies;
  std::string format = "md";
  std::string output;
  bool list = false;
};

void list_tables() {
  fmt::print("published tables ({}):\n", published_folder().string());
  for (const PublishedTable& table : read_all_published()) {
    std::vector<std::string> models;
    for (const PublishedName& model : table.models) models.push_back(model.name);
    fmt::print("  {:<28}{}\n  {:<28}{} numbers of {}, beside {}\n  {:<28}{}; {}\n", table.id,
               table.title, "", table.values.size(), fmt::join(models, ", "),
               table.bench ? "benchmarks" : "sweeps", "", table.citation, table.where);
  }
}

std::vector<NameOverride> overrides(const std::vector<std::string>& texts,
                                    std::string_view option) {
  std::vector<NameOverride> names;
  names.reserve(texts.size());
  for (const std::string& text : texts) names.push_back(parse_name_override(text, option));
  return names;
}

std::vector<PublishedTable> tables_of(const std::vector<std::string>& with) {
  if (with.empty()) return read_all_published();
  std::vector<PublishedTable> tables;
  std::set<std::string> seen;
  for (const std::string& name : with) {
    tables.push_back(find_published(name));
    if (!seen.insert(tables.back().id).second) {
      fail("--with names the table '{}' twice", tables.back().id);
    }
  }
  return tables;
}

std::vector<ComparedRun> read_runs(const std::vector<std::string>& folders) {
  std::vector<ComparedRun> runs;
  std::set<std::string> seen;
  for (const std::string& folder : folders) {
    if (!seen.insert(folder).second) fail("the run {} is named twice", folder);
    runs.push_back(read_compared_run(folder));
  }
  return runs;
}

int compare(const CompareOptions& options) {
  if (options.list) {
    if (!options.runs.empty()) fail("--list shows the published tables and takes no runs");
    list_tables();
    return 0;
  }
  if (options.runs.empty()) {
    fail("a run is required, or --list (see elastikv compare --help)");
  }
  const ComparisonNames names{overrides(options.models, "--model"),
                              overrides(options.data, "--data"),
                              overrides(options.strategies, "--strategy")};
  const std::vector<PublishedTable> tables = tables_of(options.with);
  const std::vector<ComparedRun> runs = read_runs(options.runs);
  const auto comparisons =
      compare_with_published(tables, runs, names, /*all_tables=*/!options.with.empty());
  const std::string text = write_comparison(comparisons, options.format);
  for (const ComparedRun& run : runs) {
    if (!run.fixture().empty()) {
      warn("{}: FIXTURE: made-up records, not a measurement", run.folder);
    }
  }
  if (!options.output.empty()) {
    write_file_atomically(options.output, text);
    return 0;
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) fail("standard output: cannot write: {}", std::strerror(errno));
  return 0;
}

}  // namespace

void add_compare_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<CompareOptions>();
  CLI::App* verb = app.add_subcommand(
      "compare", "Put runs beside published numbers, and say in what their protocols differ.");
  verb->add_option("runs", options->runs, "Output folders of sweeps or benchmarks");
  verb->add_option("--with", options->with,
                   "Published tables (names of --list, or files), separated by commas; without "
                   "it, all that match")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(not_empty());
  verb->add_flag("--list", options->list, "Show which published tables there are");
  verb->add_option("--model", options->models,
                   "PUBLISHED=OURS: our model (a label, may hold *) that stands for a published "
                   "one; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("--data", options->data, "PUBLISHED=OURS: the same of data sets")
      ->allow_extra_args(false);
  verb->add_option("--strategy", options->strategies,
                   "PUBLISHED=OURS: our strategy that stands for a published row")
      ->allow_extra_args(false);
  const std::vector<std::string> forms = form_names(comparison_forms());
  verb->add_option("--format", options->format, listed(forms, "or"))
      ->check(CLI::IsMember(forms))
      ->capture_default_str();
  verb->add_option("--output", options->output, "Write to this file instead of standard output")
      ->check(not_empty());
  add_examples(*verb, {{"Which published tables there are", "--list"},
                       {"Made-up records beside the paper's Table 3",
                        "tests/fixtures/fixture-llava-table3 --with elastic-cache-table3"}});
  verb->callback([options, &chosen] { chosen = [options] { return compare(*options); }; });
}

}  // namespace elastikv
