#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

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
#include "sweep/rank_place.h"
#include "sweep/rank_run.h"
#include "sweep/ranks.h"
#include "sweep/runner.h"
#include "sweep/shards.h"
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
  std::string shard;
  std::string distributed = "auto";
  double rank_timeout = 30;
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

/// What the launcher says, unless the command line has it ignored.
std::optional<RankPlace> place_of(const SweepVerbOptions& options) {
  if (options.distributed == "off") return std::nullopt;
  std::optional<RankPlace> place = find_rank(process_environment());
  if (place && place->world > 1 && !options.common->sample_ids.empty())
    fail("--sample-id: is for one process; --distributed off ignores the launcher's ranks");
  return place;
}

/// The other processes of the launcher, and what each of them may use of the machine.
std::unique_ptr<Ranks> meet(const std::optional<RankPlace>& place, double timeout) {
  if (!place || place->world <= 1) return nullptr;
  // The first one speaks for all.
  if (place->rank > 0) set_log_prefix(fmt::format("rank {}: ", place->rank));
  RankTiming timing;
  timing.lost_after = std::chrono::milliseconds(static_cast<int64_t>(timeout * 1000));
  const char* bound = std::getenv("SLURM_CPUS_PER_TASK");
  use_threads(share_threads(threads_in_use(), place->local_world,
                            /*own_processors=*/bound != nullptr && *bound != '\0'));
  return meet_ranks(*place, timing);
}

/// Runs it; one of several ranks tells the others where it does not.
SweepOutcome run(const SweepConfig& config, const RunOptions& options, const Engines& engines,
                 Progress& progress) {
  try {
    return run_sweep(config, options, engines, progress);
  } catch (const Error& error) {
    if (options.ranks != nullptr) tell_failure(*options.ranks, error.what());
    throw;
  }
}

int sweep(const SweepVerbOptions& options, SweepWatch* watch) {
  if (options.max_failures && *options.max_failures < 1)
    fail("--max-failures is {}, needs to be at least 1", *options.max_failures);
  if (!(options.rank_timeout >= 0.1))
    fail("--rank-timeout is {}, needs to be at least 0.1 seconds", options.rank_timeout);
  RunOptions run_options;
  if (!options.shard.empty()) run_options.shard = parse_shard(options.shard);
  const SweepConfig config = options.common->read();
  if (watch != nullptr) watch->output = config.output;
  const std::optional<RankPlace> place = place_of(options);
  const bool first = !place || place->rank == 0;
  const std::unique_ptr<Ranks> ranks = meet(place, options.rank_timeout);
  const std::unique_ptr<MemoryLimit> limit = options.common->limit_memory();
  if (config.predict_only && first)
    inform("predict-only: texts are generated, nothing is measured; 'metrics' are switched off");
  std::unique_ptr<Engines> engines = torch_engines({.graphs = !options.no_graphs});
  if (ranks) engines = engines_of_rank(std::move(engines), *place);
  Progress progress =
      watch != nullptr ? Progress(watch->progress) : Progress(first ? stderr : nullptr);
  // A launcher that has started the ranks again goes on with what they have done.
  run_options.resume = options.resume || (place && place->restarts > 0);
  if (first) run_options.provenance = provenance_of(options, config);
  if (ranks && first)
    run_options.provenance["ranks"] = fmt::format("{} ({})", place->world, place->launcher);
  run_options.commit = source_version();
  run_options.sample_ids = options.common->sample_ids;
  run_options.max_failures = options.fail_fast ? 1 : options.max_failures;
  run_options.ranks = ranks.get();
  std::optional<StopSignal> stop;
  if (watch != nullptr) {
    run_options.should_stop = watch->should_stop;
  } else {
    stop.emplace();
    run_options.should_stop = [&] { return stop->requested(); };
  }
  const SweepOutcome outcome = run(config, run_options, *engines, progress);
  if (outcome.other_rank) return outcome.exit_code();
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
  if (watch == nullptr) {
    std::fwrite(report.summary.data(), 1, report.summary.size(), stdout);
    std::fflush(stdout);
    inform("\ntables: {}/report.md and {} more files beside it; plots: scripts/plot.py {}", folder,
           report.files.size() - 1, folder);
  }
  if (run_options.shard) {
    inform("shard {}: 'elastikv merge' joins the folders of all {}", run_options.shard->text(),
           run_options.shard->count);
  } else if (config.predict_only) {
    export_predictions(config.output);
  }
  if (outcome.failed_cells > 0) {
    warn("{} of {} cells have failed samples; first: {}", outcome.failed_cells, outcome.cells,
         outcome.first_failure);
  }
  return outcome.exit_code();
}

}  // namespace

void add_sweep_verb(CLI::App& app, Verb& chosen, SweepWatch* watch) {
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
  verb->add_option("--shard", options->shard,
                   "I/N, such as 2/4: only every N-th sample, from the I-th on; 'merge' and "
                   "'report' join the output folders of all")
      ->check(not_empty())
      ->excludes(verb->get_option("--sample-id"));
  verb->add_option("--distributed", options->distributed,
                   "auto: share the work with the other processes that torchrun, srun or mpirun "
                   "started; off: run by itself")
      ->check(CLI::IsMember({"auto", "off"}))
      ->capture_default_str();
  verb->add_option(
          "--rank-timeout", options->rank_timeout,
          "Seconds without a sign of life after which another rank does a rank's work; so long "
          "ranks look for rank 0, too, but no less than 30")
      ->capture_default_str();
  add_examples(*verb, {{"Two scenes; --limit 4 --resume then goes on",
                        "configs/first-sweep.yaml --limit 2 --output results/first-sweep-short"},
                       {"Other strategies and parameters, one scene",
                        "configs/first-sweep.yaml --set strategies=full,elastic \\\n"
                        "    --set elastic.selection.sinks=1,2,4 --set budgets.keep=0.2 \\\n"
                        "    --sample-id test_0007 --output results/sinks"}});
  verb->callback(
      [options, watch, &chosen] { chosen = [options, watch] { return sweep(*options, watch); }; });
}

}  // namespace elastikv
