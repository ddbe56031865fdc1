#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "metrics/intervals.h"

namespace elastikv {

/// A figure over the runs of a benchmark: its median and quartiles.
struct BenchFigure {
  double median = 0;
  Interval quartiles;
  int64_t runs = 0;
};

/// One cell of a benchmark as bench.json has it.
struct StoredBenchCell {
  std::string model;  // label
  std::string dtype;
  std::string device;
  std::string strategy;  // label
  std::string budget;    // BudgetChoice::text
  int64_t batch = 0;
  int64_t prompt_tokens = 0;
  int64_t new_tokens = 0;
  std::string skipped;                    // why it was left out; empty: it was not
  std::optional<BenchFigure> latency;     // seconds of everything; absent when it did not run
  std::optional<BenchFigure> throughput;  // tokens per second: rows x new tokens / that
};

struct StoredBenchModel {
  std::string label;
  std::string dtype;
  std::string device;
  std::string device_name;
  bool random_weights = false;
};

/// What a benchmark left in bench.json.
struct StoredBench {
  std::string name;
  bool interrupted = false;
  std::string fixture;  // provenance: what these made-up figures are for; empty for measured ones
  std::vector<StoredBenchModel> models;
  std::vector<StoredBenchCell> cells;
};

/// Reads a file of the schema "elastikv-bench-1". Error naming the file and the key at fault.
StoredBench read_stored_bench(const std::filesystem::path& file);

}  // namespace elastikv
