#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bench/outcome.h"
#include "report/table.h"

namespace elastikv {

/// What people read: one row per cell that was planned or run.
Table bench_table(const BenchOutcome& outcome);
/// What cells need and what a decode step must read, for a benchmark that was only planned.
Table plan_table(const BenchOutcome& outcome);
/// Every figure of every cell, for programs: medians and quartiles, SI units.
Table figures_table(const BenchOutcome& outcome);

/// The bandwidths that the bounds come from, the unit of each column and how to read them: lines
/// that stand under the table.
std::string bench_notes(const BenchOutcome& outcome);

/// The outcome as JSON of the schema "elastikv-bench-1", with every run's figures.
std::string bench_json(const BenchOutcome& outcome);

/// Writes bench.md, the figures in every form for programs (bench.csv) and bench.json into a
/// folder, which is made, and returns the files' names.
std::vector<std::string> write_bench(const BenchOutcome& outcome,
                                     const std::filesystem::path& folder);

}  // namespace elastikv
