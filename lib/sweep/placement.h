#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/value_form.h"
#include "base/yaml_fields.h"

namespace elastikv {

// On which device and in which numbers a model runs, as sweeps and benchmarks say it.

ValueForm<std::string> device_form();
/// The short name of one dtype.
ValueForm<std::string> dtype_form();

/// The device that the command line chose. Error for one that is not known.
std::string chosen_device(const std::string& name);

/// The dtypes of an entry of `models`: the command line's comma list, else the value or list of the
/// key `dtype`, else `otherwise`. Error for one that is not known.
std::vector<std::string> dtypes_of(const YamlFields& fields,
                                   const std::optional<std::string>& chosen,
                                   const std::string& otherwise);

}  // namespace elastikv
