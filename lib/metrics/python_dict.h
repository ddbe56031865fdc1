#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace elastikv {

/// The dictionary of texts that a Python expression is ("{'<mask-0>': 'Bob'}"), as eval() reads it:
/// quotes of either kind, one or three, texts that follow each other, escapes, commas at the end,
/// and of equal keys the last value. Nothing for any other text, also where Python would read it
/// (numbers, calls, prefixes of strings).
std::optional<std::map<std::string, std::string>> parse_text_dict(std::string_view text);

}  // namespace elastikv
