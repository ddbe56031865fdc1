#pragma once

#include <string>

#include "base/keys_fwd.h"
#include "sweep/config.h"

namespace elastikv {

/// The keys of a sweep's file. `models` and `data` have no reader here: what the command line says
/// of all of them is put in while they are read.
const Keys<SweepConfig>& sweep_keys();

/// The tables of these keys that docs/sweeps.md holds and `elastikv list keys` prints.
std::string sweep_keys_markdown();

}  // namespace elastikv
