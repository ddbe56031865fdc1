#pragma once

#include <string>

#include "base/keys_fwd.h"
#include "bench/config.h"

namespace elastikv {

/// The keys of an entry of a benchmark's `models`.
const Keys<BenchModel>& bench_model_keys();

/// The keys of a benchmark's file. `models` has no reader here: what the command line says of all
/// of them is put in while they are read.
const Keys<BenchConfig>& bench_keys();

/// The tables of these keys that docs/bench.md holds and `elastikv list keys` prints.
std::string bench_keys_markdown();

}  // namespace elastikv
