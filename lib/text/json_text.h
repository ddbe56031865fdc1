#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace elastikv {

/// The text with every byte that is part of no UTF-8 character written as "\xff": paths, arguments
/// and host names may hold any bytes, JSON and pages may not. Valid UTF-8 stays as it is.
std::string escape_broken_utf8(std::string_view text);

/// JSON as text; strings in it may hold any bytes (see escape_broken_utf8). `indent` as in dump().
std::string json_text(nlohmann::ordered_json json, int indent = -1);

}  // namespace elastikv
