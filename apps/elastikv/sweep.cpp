#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "base/log.h"
#include "report/report.h"
#include "stop_signal.h"
#include "sweep/engine.h"
#include "sweep/predictions.h"
#include "sweep/progress.h"
#include "sweep/runner.h"
#include "sweep_options.h"
#include "verbs.h"

namespace elastikv {
namespace {

std::map<std::string, std::string> provenance() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return {{"host", host},
          {"started", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))}};
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

int sweep(const SweepOptions& options, bool resume) {
  const SweepConfig config = options.read();
  if (config.predict_only)
    inform("predict-only: texts are generated, nothing is measured; 'metrics' are switched off");
  const std::unique_ptr<Engines> engines = torch_engines();
  Progress progress(stderr);
  RunOptions run;
  run.resume = resume;
  run.provenance = provenance();
  const StopSignal stop;
  run.should_stop = [&] { return stop.requested(); };
  const SweepOutcome outcome = run_sweep(config, run, *engines, progress);
  const std::string folder = config.output.string();
  if (outcome.interrupted) {
    warn("interrupted; the records in {} are kept, --resume continues", folder);
    return outcome.exit_code();
  }
  const Report report = write_report(config.output);
  std::fwrite(report.summary.data(), 1, report.summary.size(), stdout);
  std::fflush(stdout);
  inform("\ntables: {}/report.md and {} more files beside it; pictures: scripts/plot.py {}", folder,
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
  const auto options = std::make_shared<SweepOptions>();
  const auto resume = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand(
      "sweep",
      "Run every model, data set, strategy and budget of a YAML file; write records and "
      "tables.");
  add_sweep_options(*verb, options);
  verb->add_flag("--resume", *resume,
                 "Continue a sweep that was interrupted, or try its failed cells again");
  verb->callback([options, resume, &chosen] { chosen = [=] { return sweep(*options, *resume); }; });
}

}  // namespace elastikv
