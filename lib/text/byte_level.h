#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace elastikv {

/// GPT-2's reversible spelling of bytes as printable characters: the 188 printable bytes of Latin-1
/// stand for themselves, the other 68, in order, for U+0100 onwards (a blank is U+0120).
std::string bytes_to_letters(std::string_view bytes);

/// The bytes that such letters spell; nothing when a character is no such letter.
std::optional<std::string> letters_to_bytes(std::string_view letters);

}  // namespace elastikv
