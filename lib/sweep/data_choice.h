#pragma once

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/yaml_fields.h"
#include "datasets/dataset.h"
#include "sweep/config.h"

namespace elastikv {

/// An entry of a sweep's `data`: one data set, or one for each combination of what its keys list.
/// Error naming line and key for an entry that is unknown, missing or malformed.
std::vector<DataOptions> read_data_choices(const YamlFields& fields,
                                           const SweepOverrides& overrides);

/// What a configuration says of a data set, as sweep.json keeps it; `records_only` leaves out what
/// cannot change a record.
nlohmann::ordered_json data_json(const DataOptions& data, bool records_only);

}  // namespace elastikv
