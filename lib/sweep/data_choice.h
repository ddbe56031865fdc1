#pragma once

#include <vector>

#include "base/keys_fwd.h"
#include "base/yaml_fields.h"
#include "datasets/dataset.h"
#include "sweep/config.h"

namespace elastikv {

/// The keys of an entry of a sweep's `data`.
const Keys<DataOptions>& data_keys();

/// An entry of a sweep's `data`: one data set, or one for each combination of what its keys list.
/// Error naming line and key for an entry that is unknown, missing or malformed.
std::vector<DataOptions> read_data_choices(const YamlFields& fields,
                                           const SweepOverrides& overrides);

}  // namespace elastikv
