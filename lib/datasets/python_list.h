#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// Whether a text begins as a list of strings that Python printed: "['" or "[\"".
bool looks_like_string_list(std::string_view text);

/// The strings of a list as Python prints it ("['a', \"it's\"]"), with the escapes of its string
/// literals; nothing when the text is something else.
std::optional<std::vector<std::string>> parse_string_list(std::string_view text);

}  // namespace elastikv
