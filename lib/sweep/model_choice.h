#pragma once

#include <vector>

#include "base/keys_fwd.h"
#include "base/yaml_fields.h"
#include "sweep/cell.h"
#include "sweep/config.h"

namespace elastikv {

/// The keys of an entry of a sweep's `models`.
const Keys<ModelChoice>& model_keys();

/// An entry of a sweep's `models`: one model, or one for each combination of what its keys list.
/// Error naming line and key for an entry that is unknown, missing or malformed.
std::vector<ModelChoice> read_models(const YamlFields& fields, const SweepOverrides& overrides);

}  // namespace elastikv
