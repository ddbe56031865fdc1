#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/device.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/yaml_fields.h"
#include "examples.h"
#include "models/registry.h"
#include "provenance.h"
#include "report/report.h"
#include "runtime/threads.h"
#include "source_version.h"
#include "stop_signal.h"
#include "sweep/engine.h"
#include "sweep/predictions.h"
#include "sweep/progress.h"
#include "sweep/runner.h"
#include "sweep_options.h"
#include "text/json_text.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

struct SweepVerbOptions {
  std::shared_ptr<SweepOptions> common = std::make_shared<SweepOptions>();
  bool resume = false;
  bool fail_fast = false;
  bool no_graphs = false;
  std::optional<int64_t> max_failures;
};

/// What chose the number of threads, for every model that has not as many as the program.
std::string threads_by(const SweepConfig& config) {
  std::string all = threads_in_use().reason;
  for (const ModelChoice& model : config.models) {
    if (!parse_device(model.device).is_cpu()) continue;
    try {
      const ThreadChoice choice = threads_for_model(threads_in_use(), count_parameters(model.path));
      if (choice.threads < threads_in_use().threads)
        all += fmt::format("; {}: {}, {}", model.label, choice.threads, choice.reason);
    } catch (const Error&) {
      // The sweep itself says what is wrong with the folder.
    }
  }
  return all;
}

/// What this sweep is run with. `reproduce` leaves out how far a run went: a run that resumes, or
/// stops at a failure, is part of the same sweep.
std::map<std::string, std::string> provenance_of(const SweepVerbOptions& options,
                                                 const SweepConfig& config) {
  std::set<std::string> devices;
  std::set<std::string> dtypes;
  std::vector<Placement> placements;
  for (const ModelChoice& model : config.models) {
    placements.push_back({model.device, model.dtype});
    devices.insert(model.device);
    dtypes.insert(model.dtype);
  }
  std::map<std::string, std::string> facts = measured_provenance(placements);
  facts["threads_by"] = escape_broken_utf8(threads_by(config));
  facts["device"] = fmt::format("{}", fmt::join(devices, ", "));
  facts["dtype"] = fmt::format("{}", fmt::join(dtypes, ", "));
  facts["config"] = escape_broken_utf8(options.common->file);
  std::string configuration;
  for (const auto& file : YamlFields::extended_files(options.common->file))
    configuration += read_file(file);
  facts["config_hash"] = content_hash(configuration);
  std::string command = "elastikv sweep";
  const auto add = [&command](const std::string& word) {
    command += ' ';
    command += shell_word(word);
  };
  for (const std::string& word : options.common->words()) add(word);
  if (options.no_graphs) add("--no-graphs");
  if (!options.resume) {
    for (const std::string& ids : options.common->sample_ids) {
      add("--sample-id");
      add(ids);
    }
  }
  facts["reproduce"] =
      fmt::format("{}  # {}, commit {}", command, facts["program"], facts["source"]);
  return facts;
}

/// The end of a sweep that measures nothing: its texts, for whoever judges them.
void export_predictions(const std::filesystem::path& output) {
  for (const PredictionFile& file : write_predictions(output)) {
    if (!file.missing.empty())
      warn("predictions of {} leave out: {}", file.cell, fmt::join(file.missing, ", "));
  }
  const std::string folder = (output / "predictions").string();
  inform("predictions: {} ('elastikv score {}/*.jsonl' scores them)", folder, folder);
}

int sweep(const SweepVerbOptions& options) {
  if (options.max_failures && *options.max_failures < 1)
    fail("--max-failures is {}, needs to be at least 1", *options.max_failures);
  const SweepConfig config = options.common->read();
  const std::unique_ptr<MemoryLimit> limit = options.common->limit_memory();
  if (config.predict_only)
    inform("predict-only: texts are generated, nothing is measured; 'metrics' are switched off");
  const std::unique_ptr<Engines> engines = torch_engines({.graphs = !options.no_graphs});
  Progress progress(stderr);
  RunOptions run;
  run.resume = options.resume;
  run.provenance = provenance_of(options, config);
  run.commit = source_version();
  run.sample_ids = options.common->sample_ids;
  run.max_failures = options.fail_fast ? 1 : options.max_failures;
  const StopSignal stop;
  run.should_stop = [&] { return stop.requested(); };
  const SweepOutcome outcome = run_sweep(config, run, *engines, progress);
  const std::string folder = config.output.string();
  if (outcome.interrupted) {
    warn("interrupted; the records in {} are kept, --resume continues", folder);
    return outcome.exit_code();
  }
  if (!outcome.device_lost.empty() || outcome.stopped) {
    std::string_view then;
    if (!outcome.device_lost.empty()) {
      warn("the device stopped answering, and nothing can be computed on it in this process: {}",
           outcome.device_lost);
      then = "with the sample at which it happened";
    } else {
      warn("stopped at {}: {}", options.fail_fast ? "the first failure" : "--max-failures",
           outcome.first_failure);
      then = "and tries again what failed";
    }
    warn("{} of {} cells are left undone; the records in {} are kept, --resume continues {}",
         outcome.undone_cells, outcome.cells, folder, then);
    return outcome.exit_code();
  }
  const Report report = write_report(config.output);
  std::fwrite(report.summary.data(), 1, report.summary.size(), stdout);
  std::fflush(stdout);
  inform("\ntables: {}/report.md and {} more files beside it; plots: scripts/plot.py {}", folder,
         report.files.size() - 1, folder);
  if (config.predict_only) export_predictions(config.output);
  if (outcome.failed_cells > 0) {
    warn("{} of {} cells have failed samples; first: {}", outcome.failed_cells, outcome.cells,
         outcome.first_failure);
  }
  return outcome.exit_code();
}

}  // namespace

void add_sweep_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<SweepVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "sweep",
      "Run every model, data set, strategy and budget of a YAML file; write records and "
      "tables.");
  add_sweep_options(*verb, options->common);
  verb->add_flag("--resume", options->resume,
                 "Continue a sweep that was interrupted, or try its failed cells again");
  verb->add_flag("--no-graphs", options->no_graphs, kNoGraphs);
  CLI::Option* fail_fast =
      verb->add_flag("--fail-fast", options->fail_fast, "Stop at the first failure");
  verb->add_option("--max-failures", options->max_failures,
                   "Stop after so many failures (default: never)")
      ->check(not_empty())
      ->excludes(fail_fast);
  add_examples(*verb, {{"Two scenes; --limit 4 --resume then goes on",
                        "configs/first-sweep.yaml --limit 2 --output results/first-sweep-short"},
                       {"Other strategies and parameters, one scene",
                        "configs/first-sweep.yaml --set strategies=full,elastic \\\n"
                        "    --set elastic.selection.sinks=1,2,4 --set budgets.keep=0.2 \\\n"
                        "    --sample-id test_0007 --output results/sinks"}});
  verb->callback([options, &chosen] { chosen = [options] { return sweep(*options); }; });
}

}  // namespace elastikv
