#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/config.h"
#include "models/decode_graphs.h"
#include "runtime/cost.h"
#include "runtime/machine.h"

namespace elastikv {

/// Median and quartiles, interpolated between neighbours.
struct Spread {
  double median = 0;
  double low = 0;   ///< first quartile
  double high = 0;  ///< third quartile
  int64_t count = 0;
};

/// Error-free for an empty list: all zero.
Spread spread_of(std::vector<double> values);

/// One timed run of one cell: a batch of prompts, each prefilled and compressed on its own, or one
/// prompt that is prefilled once and compressed for each row; then decoded together.
struct BenchRun {
  double prefill_seconds = 0;        ///< of all prompts, without statistics
  double statistics_seconds = 0;     ///< what the strategy asked for, beyond a plain prefill
  double compression_seconds = 0;    ///< deciding and compacting
  double reserve_seconds = 0;        ///< making room for the tokens to come
  std::vector<double> step_seconds;  ///< of each decode step, greedy choice included

  double decode_seconds() const;
  double total_seconds() const;
};

/// What one cell gave.
struct BenchResult {
  BenchCell cell;
  /// Why it was not run ("needs about ..."); empty: it was, and the rest holds.
  std::string skipped;
  MemoryNeed need;
  std::vector<BenchRun> runs;

  int64_t kept_slots = 0;             ///< per layer after compression, mean over layers and heads
  int64_t kept_slots_end = 0;         ///< the same after the last step
  int64_t cache_bytes_prompt = 0;     ///< of all rows, after compression
  int64_t cache_bytes_end = 0;        ///< of all rows, after the last step
  int64_t cache_bytes_allocated = 0;  ///< of all rows and the prompt that they share, room included
  int64_t memory_before = 0;          ///< see PeakMemory: weights, and on the CPU the program
  int64_t memory_peak = 0;            ///< of the run that it is measured in
  double step_weight_bytes = 0;       ///< that a decode step reads
  double step_cache_bytes = 0;  ///< that a decode step attends to, of all rows, mean over steps
  double step_read_bytes = 0;   ///< of these, what rows share counted once
  double step_operations = 0;   ///< of a decode step: multiplications and additions
  double bound_seconds = 0;     ///< of a decode step, at the measured rates

  Spread prefill_seconds() const;
  Spread prefill_tokens_per_second() const;
  Spread statistics_seconds() const;
  Spread compression_seconds() const;
  Spread total_seconds() const;
  /// Of all steps of all runs.
  Spread step_seconds() const;
  /// Rows times steps over the time of the steps, per run.
  Spread decode_tokens_per_second() const;
  /// The paper's Table 2: rows times new tokens over the time of everything, prefill included.
  Spread throughput() const;
  /// How many times as long as the bound a median step takes; 0 without steps.
  double times_bound() const;
};

/// A model and its cells.
struct BenchModelResult {
  BenchModel model;
  int64_t parameters = 0;
  int64_t available = 0;  ///< bytes, before the weights were loaded
  MemoryNeed weights;
  Bandwidth bandwidth;               ///< zero when nothing was run
  double operations_per_second = 0;  ///< of linear layers over many rows; zero likewise
  DecodeGraphs::Counts graphs;       ///< of all decode steps, warm-ups included
  std::vector<BenchResult> cells;
};

struct BenchOutcome {
  BenchConfig config;
  int threads = 0;
  std::vector<BenchModelResult> models;
  std::map<std::string, std::string> provenance;
  bool interrupted = false;
};

}  // namespace elastikv
