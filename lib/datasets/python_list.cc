#include "datasets/python_list.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

#include "base/utf8.h"

namespace elastikv {
namespace {

void skip_space(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
}

bool take(std::string_view& rest, char character) {
  if (!rest.starts_with(character)) return false;
  rest.remove_prefix(1);
  return true;
}

/// A character written with `digits` hexadecimal digits.
bool read_code(std::string_view& rest, size_t digits, std::string& value) {
  if (rest.size() < digits) return false;
  uint32_t code = 0;
  const char* end = rest.data() + digits;
  const auto [read_to, status] = std::from_chars(rest.data(), end, code, /*base=*/16);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (status != std::errc() || read_to != end || code > 0x10FFFF || surrogate) return false;
  append_utf8(value, static_cast<char32_t>(code));
  rest.remove_prefix(digits);
  return true;
}

/// What follows a backslash.
bool read_escape(std::string_view& rest, std::string& value) {
  if (rest.empty()) return false;
  const char escape = rest.front();
  rest.remove_prefix(1);
  switch (escape) {
    case 'n':
      value += '\n';
      return true;
    case 't':
      value += '\t';
      return true;
    case 'r':
      value += '\r';
      return true;
    case '\\':
    case '\'':
    case '"':
      value += escape;
      return true;
    case 'x':
      return read_code(rest, 2, value);
    case 'u':
      return read_code(rest, 4, value);
    case 'U':
      return read_code(rest, 8, value);
    default:
      // Python leaves an escape that it does not know as it stands.
      value += '\\';
      value += escape;
      return true;
  }
}

bool read_literal(std::string_view& rest, std::string& value) {
  const char quote = rest.empty() ? '\0' : rest.front();
  if (quote != '\'' && quote != '"') return false;
  rest.remove_prefix(1);
  while (!rest.empty()) {
    if (take(rest, quote)) return true;
    if (take(rest, '\\')) {
      if (!read_escape(rest, value)) return false;
    } else {
      value += rest.front();
      rest.remove_prefix(1);
    }
  }
  return false;
}

}  // namespace

bool looks_like_string_list(std::string_view text) {
  return take(text, '[') && (text.starts_with('\'') || text.starts_with('"'));
}

std::optional<std::vector<std::string>> parse_string_list(std::string_view text) {
  std::vector<std::string> values;
  skip_space(text);
  if (!take(text, '[')) return std::nullopt;
  skip_space(text);
  while (!take(text, ']')) {
    if (!read_literal(text, values.emplace_back())) return std::nullopt;
    skip_space(text);
    if (take(text, ',')) {
      skip_space(text);
    } else if (!text.starts_with(']')) {
      return std::nullopt;
    }
  }
  skip_space(text);
  if (!text.empty()) return std::nullopt;
  return values;
}

}  // namespace elastikv
