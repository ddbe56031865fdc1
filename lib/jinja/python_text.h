#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jinja/runtime.h"

namespace elastikv::jinja {

/// str() of a value. Error for what Python writes with an address in memory.
std::string to_text(Runtime& runtime, const Value& value);
/// The same as a string value; a string is itself, markup or not.
Value to_string_value(Runtime& runtime, const Value& value);
/// repr() of a value. Error as to_text's.
std::string repr(Runtime& runtime, const Value& value);
void append_text(Runtime& runtime, TextBuilder& out, const Value& value);

/// repr() of a text, and of a number: the fewest digits that read back as it.
std::string repr_text(std::string_view text);
std::string float_text(double number);

/// int(text, base) and float(text) as Python reads them; nothing when it would refuse the text.
/// Error for an integer beyond 64 bits.
std::optional<int64_t> parse_integer(std::string_view text, int64_t base);
std::optional<double> parse_float(std::string_view text);

/// The text with &, <, >, ' and " written as HTML entities.
std::string escape_html(std::string_view text);

}  // namespace elastikv::jinja
