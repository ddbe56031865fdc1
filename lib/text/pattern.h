#pragma once

#include <string>
#include <string_view>

#include "base/json_fields.h"
#include "text/regex.h"

namespace elastikv {

/// The "pattern" of a Replace or Split component: {"String": "..."} or {"Regex": "..."}.
struct Pattern {
  Regex regex;
  /// The literal text, empty for a regular expression.
  std::string literal;
};

/// Error naming the key when it is neither, when the literal is empty or the expression malformed.
Pattern read_pattern(const JsonFields& fields);

/// `text` with every match replaced. Error where that could be more than a gigabyte.
std::string replace_all(std::string_view text, const Regex& pattern, std::string_view content);

}  // namespace elastikv
