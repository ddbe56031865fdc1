#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "bench/config.h"
#include "bench/output.h"
#include "bench/runner.h"
#include "examples.h"
#include "provenance.h"
#include "stop_signal.h"
#include "strategies/plugins.h"
#include "strategy_options.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

struct BenchVerbOptions {
  std::string file;
  std::vector<std::string> set;
  std::vector<std::string> plugins;
  std::optional<int64_t> runs;
  std::optional<std::string> device;
  std::optional<std::string> dtype;
  std::optional<std::string> output;
  std::string threads;
  bool no_graphs = false;
  std::string json;
  bool plan = false;
};

int bench(const BenchVerbOptions& options) {
  BenchOverrides overrides;
  for (const std::string& text : options.set) overrides.set.push_back(parse_set_option(text));
  if (!options.threads.empty()) overrides.set.emplace_back("threads", options.threads);
  if (options.no_graphs) overrides.set.emplace_back("graphs", "false");
  overrides.runs = options.runs;
  overrides.device = options.device;
  overrides.dtype = options.dtype;
  if (options.output) overrides.output = *options.output;
  overrides.plugins = options.plugins;
  const BenchConfig config = read_bench(options.file, overrides);
  load_plugins(config.plugins);
  // A measurement of hours must not end with a folder that cannot be written.
  if (!options.json.empty() && options.json != "-") {
    const auto folder = std::filesystem::absolute(options.json).parent_path();
    if (!is_folder(folder)) fail("--json {}: there is no folder {}", options.json, folder.string());
  }

  BenchOptions run;
  run.plan_only = options.plan;
  std::vector<Placement> placements;
  for (const BenchModel& model : config.models) placements.push_back({model.device, model.dtype});
  run.provenance = options.plan ? provenance(placements) : measured_provenance(placements);
  run.on_progress = [](const std::string& line) { inform("{}", line); };
  const StopSignal stop;
  run.should_stop = [&] { return stop.requested(); };
  const BenchOutcome outcome = run_bench(config, run);

  if (options.json == "-") {
    fmt::print("{}", bench_json(outcome));
  } else {
    const Table table = options.plan ? plan_table(outcome) : bench_table(outcome);
    fmt::print("{}\n{}", table.markdown(/*left_columns=*/2), bench_notes(outcome));
  }
  std::fflush(stdout);
  if (!options.json.empty() && options.json != "-")
    write_file_atomically(options.json, bench_json(outcome));
  if (!config.output.empty() && !options.plan) {
    const std::vector<std::string> files = write_bench(outcome, config.output);
    inform("\ntables: {0}/{1}; plots: scripts/plot_bench.py {0}", config.output.string(),
           fmt::join(files, ", "));
  }
  if (!outcome.interrupted) return 0;
  warn("interrupted; the figures are of the runs that were complete");
  return 130;
}

}  // namespace

void add_bench_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<BenchVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "bench",
      "Time prefill, scores, compression and decoding by batch, lengths, strategy and budget, on a "
      "checkpoint or on random weights of a named shape, beside the machine's bound.");
  verb->add_option("file", options->file,
                   "The benchmark's YAML file, such as configs/bench/smollm2.yaml")
      ->required();
  add_plugin_option(*verb, options->plugins);
  verb->add_option("--set", options->set,
                   "KEY=VALUE replaces a value of the file, such as batch=1,8 or "
                   "models.shape=llava-1.5-7b; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("--runs", options->runs,
                   "Timed runs of every cell (default: the file's, else 5)")
      ->check(not_empty());
  verb->add_option("--output", options->output, "Folder for bench.md, bench.csv and bench.json");
  verb->add_option("--json", options->json,
                   "File for the figures as JSON; - prints them instead of the table")
      ->check(not_empty());
  verb->add_option("--device", options->device, "cpu, cuda or cuda:N, for every model");
  verb->add_option("--dtype", options->dtype,
                   "fp32, bf16 or fp16, or a comma list of them, for every model");
  verb->add_option("--threads", options->threads,
                   "Threads that compute on the CPU (default: the file's, else as for 'sweep')")
      ->check(CLI::Range(1, 4096));
  verb->add_flag("--no-graphs", options->no_graphs, kNoGraphs);
  verb->add_flag("--plan", options->plan,
                 "Only say what every cell needs and what a decode step reads; allocates nothing");
  add_examples(*verb,
               {{"A look at the verb, a few seconds long",
                 "configs/bench/tiny.yaml --output results/bench/tiny"},
                {"What the cells of published sizes need; allocates nothing",
                 R"(configs/bench/smollm2.yaml --plan --set models="{shape: smollm2-135m}")"}});
  verb->callback([options, &chosen] { chosen = [options] { return bench(*options); }; });
}

}  // namespace elastikv
