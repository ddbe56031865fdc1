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

/// White_Space of the Unicode character database.
bool is_whitespace(char32_t character);
/// White space, controls, format characters (zero width, marks of direction, the byte order mark),
/// and what else Unicode has ignored where it is not supported (Default_Ignorable_Code_Point), with
/// the empty Braille pattern: characters that leave nothing to see.
bool is_invisible(char32_t character);
/// Whether valid UTF-8 holds nothing but such characters.
bool shows_nothing(std::string_view text);
/// General categories L*.
bool is_letter(char32_t character);
/// General categories Nd, Nl, No.
bool is_number(char32_t character);
/// General categories Mn, Mc, Me.
bool is_mark(char32_t character);
/// ASCII punctuation and symbols, and general categories P*.
bool is_punctuation(char32_t character);

enum class NormalizationForm { kNfc, kNfd, kNfkc, kNfkd };
/// Normalizes valid UTF-8 by the tables of utf8proc.
std::string normalize_unicode(std::string_view text, NormalizationForm form);

/// Lower case character by character, without regard to context (a final sigma is as any other).
std::string lowercase(std::string_view text);

}  // namespace elastikv
