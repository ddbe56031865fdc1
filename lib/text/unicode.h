#pragma once

#include <string>
#include <string_view>

namespace elastikv {

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
