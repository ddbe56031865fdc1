#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// One step through bytes that should be UTF-8.
struct Utf8Step {
  /// Bytes of the character, or of the longest start of one when it is broken; at least 1.
  size_t size = 0;
  bool valid = false;
  /// The text ended inside a character that is right so far.
  bool cut_short = false;
  /// The character, U+FFFD unless valid.
  char32_t character = U'\uFFFD';
};

/// Reads the character at `position` < text.size(), by the well-formedness table of the Unicode
/// standard (no overlong forms, no surrogates, nothing above U+10FFFF).
Utf8Step utf8_step(std::string_view text, size_t position);

void append_utf8(std::string& text, char32_t character);

/// The text with each maximal broken part replaced by U+FFFD (Unicode 3.9, "substitution of
/// maximal subparts"; what Python's errors="replace" and Rust's from_utf8_lossy do).
std::string replace_broken_utf8(std::string_view text);
/// Offset of the first byte that begins no well-formed character, npos in valid UTF-8.
size_t find_broken_utf8(std::string_view text);
bool is_valid_utf8(std::string_view text);

/// The characters of valid UTF-8.
std::vector<char32_t> to_characters(std::string_view text);

}  // namespace elastikv
