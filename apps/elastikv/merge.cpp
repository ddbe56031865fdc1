#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "base/log.h"
#include "examples.h"
#include "report/report.h"
#include "sweep/records.h"
#include "sweep/shards.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

struct MergeOptions {
  std::vector<std::string> folders;
  std::string output;
};

int merge(const MergeOptions& options) {
  const std::vector<std::filesystem::path> folders(options.folders.begin(), options.folders.end());
  const StoredSweep sweep = read_joined_sweep(folders);
  write_stored_sweep(sweep, options.output);
  const Report report = write_report(options.output);
  std::fwrite(report.summary.data(), 1, report.summary.size(), stdout);
  std::fflush(stdout);
  inform("\nmerged: {} records in {}; tables: {}/report.md and {} more files beside it",
         sweep.records.size(), options.output, options.output, report.files.size() - 1);
  const std::vector<MissingSamples> missing = missing_samples(sweep);
  for (const MissingSamples& one : missing) warn("missing: {}", one.text());
  return missing.empty() ? 0 : 2;
}

}  // namespace

void add_merge_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<MergeOptions>();
  CLI::App* verb = app.add_subcommand(
      "merge",
      "Join the output folders of a sweep's shards into one, and write its tables. Exit code 2 "
      "where samples are missing.");
  verb->add_option("shards", options->folders, "Output folders of 'sweep --shard'")->required();
  verb->add_option("--output", options->output, "The folder to make")
      ->required()
      ->check(not_empty());
  add_examples(*verb, {{"Two jobs' halves",
                        "results/halves/shard-1 results/halves/shard-2 --output results/whole"},
                       {"All that a Slurm array left",
                        "results/quickstart/shard-* --output results/quickstart-whole"}});
  verb->callback([options, &chosen] { chosen = [options] { return merge(*options); }; });
}

}  // namespace elastikv
