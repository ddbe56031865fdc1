#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "jinja/runtime.h"

namespace elastikv::jinja {

/// The widest field and the most digits that a format may ask for.
inline constexpr int64_t kMostWidth = 1 << 20;

/// Python's format(value, spec). Error where Python would raise.
std::string format_value(Runtime& runtime, const Value& value, std::string_view spec);
/// Python's format.format(*arguments). Error where Python would raise.
Value format_string(Runtime& runtime, const Value& format, const Arguments& arguments);

/// The digits of an integer without its sign; `letter` is b, o, d, x or X.
std::string digits_of(int64_t number, char letter);
/// A float >= 0 as C's printf writes it; `letter` is one of eEfFgG.
std::string float_digits(double number, char letter, int precision, bool alternate);
/// int() of a float; Error for what is no number or does not fit 64 bits.
int64_t integer_of_float(double number);
/// The text of one character, by its code point; Error when there is none.
std::string character_text(int64_t code);
/// ascii(): what is beyond ASCII in a repr() is escaped.
std::string ascii_only(std::string_view text);
std::string_view first_characters(std::string_view text, size_t count);

}  // namespace elastikv::jinja
