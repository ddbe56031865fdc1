#pragma once

#include <functional>
#include <map>
#include <string>

#include "bench/config.h"
#include "bench/outcome.h"

namespace elastikv {

struct BenchOptions {
  /// Nothing is allocated or timed; only what cells need is worked out.
  bool plan_only = false;
  std::function<bool()> should_stop;
  /// Called with a line of progress.
  std::function<void(const std::string&)> on_progress;
  /// When, where and with what it runs.
  std::map<std::string, std::string> provenance;
};

/// Times all cells. For each model: warm-up, then `runs` rounds in each of which every cell runs
/// once, so that what drifts on the machine meets all of them alike. Everything that can be wrong
/// is said before weights are made or loaded: Error for a device that is not there, a strategy that
/// is unknown or reads what a prompt without images has not, and for what does not fit the memory
/// (unless cells may be skipped; then it is noted in them). When interrupted, what was measured so
/// far is returned.
BenchOutcome run_bench(const BenchConfig& config, const BenchOptions& options);

}  // namespace elastikv
