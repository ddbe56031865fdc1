#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace elastikv {

/// Reads a number the way a configuration means it: the whole text, no trailing characters.
/// Returns false when `text` is not such a number.
bool parse_int(std::string_view text, int64_t& value);
bool parse_double(std::string_view text, double& value);

/// "a.b" for a nested key, "b" at the top.
std::string join_key(std::string_view prefix, std::string_view key);

}  // namespace elastikv
