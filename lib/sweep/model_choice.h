#pragma once

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/yaml_fields.h"
#include "sweep/cell.h"
#include "sweep/config.h"

namespace elastikv {

/// An entry of a sweep's `models`: one model, or one for each combination of what its keys list.
/// Error naming line and key for an entry that is unknown, missing or malformed.
std::vector<ModelChoice> read_models(const YamlFields& fields, const SweepOverrides& overrides);

/// What a configuration says of a model, as records and sweep.json keep it.
nlohmann::ordered_json model_json(const ModelChoice& model);

}  // namespace elastikv
