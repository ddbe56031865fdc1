#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace elastikv::jinja {

// Characters (code points) and their properties as Python 3's str knows them. Texts are valid UTF-8
// unless something else is said.

/// Bytes of the character that begins with this byte.
inline size_t character_size(char first) {
  const auto byte = static_cast<unsigned char>(first);
  if (byte < 0x80) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

size_t count_characters(std::string_view text);
/// The character that begins at byte `at`.
char32_t character_at(std::string_view text, size_t at);
/// The byte where the character before byte `at` > 0 begins.
size_t before(std::string_view text, size_t at);

/// str.isspace, which is also what \s of Python's regular expressions matches.
bool is_space(char32_t character);
/// What str.splitlines cuts at.
bool is_line_end(char32_t character);
bool is_alpha(char32_t character);
bool is_decimal(char32_t character);
bool is_digit(char32_t character);
bool is_numeric(char32_t character);
bool is_alnum(char32_t character);
bool is_lower(char32_t character);
bool is_upper(char32_t character);
bool is_title(char32_t character);
/// Has a case: upper, lower or title.
bool is_cased(char32_t character);
/// What repr() writes as it is.
bool is_printable(char32_t character);
/// What an identifier may begin with, and what it may go on with.
bool is_identifier_start(char32_t character);
bool is_identifier_part(char32_t character);

/// str.upper, lower, title, capitalize, swapcase and casefold, with the characters that become
/// several and the sigma at the end of a word.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string title(std::string_view text);
std::string capitalize(std::string_view text);
std::string swapcase(std::string_view text);
std::string casefold(std::string_view text);

/// The text without white space at its ends.
std::string_view strip(std::string_view text, bool left = true, bool right = true);

/// Where `part` begins in `text` at or behind byte `from`, npos if nowhere. Linear in time.
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);
/// Where it begins last. Linear in time.
size_t find_last(std::string_view text, std::string_view part);

/// A character whose upper or title case is several characters; null when the title case is one.
struct SpecialCase {
  char32_t character;
  const char* upper;
  const char* title;
};
/// That of a character, null when it has none.
const SpecialCase* special_case(char32_t character);

}  // namespace elastikv::jinja
