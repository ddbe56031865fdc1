#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "jinja/runtime.h"

namespace elastikv::jinja {

/// A JSON value as the Python value that json.loads would give. Error for integers beyond 64 bits,
/// bytes that are no UTF-8, and values nested too deep.
Value from_json(Runtime& runtime, const nlohmann::ordered_json& json);

/// The filter tojson as transformers has it: json.dumps with its options, which do not escape HTML.
/// Error where Python would raise.
Value to_json(Runtime& runtime, const Value& value, Arguments& arguments);

}  // namespace elastikv::jinja
