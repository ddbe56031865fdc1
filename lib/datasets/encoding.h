#pragma once

#include <string>
#include <string_view>

namespace elastikv {

/// What the bytes of a file are instead of UTF-8 text, with what to do about it: UTF-16 and UTF-32
/// (with or without a mark), Parquet, archives. Empty when they do not say.
std::string_view other_kind_of_file(std::string_view bytes);

/// Whether bytes that are not UTF-8 are those of a text in Latin-1 or Windows-1252: letters above
/// ASCII stand alone between letters of ASCII, and nothing in it is UTF-8.
bool looks_like_latin1(std::string_view bytes);

/// The character of a byte above ASCII in Windows-1252, of which Latin-1 is a part; U+FFFD for one
/// that has none.
char32_t windows1252_character(unsigned char byte);

}  // namespace elastikv
