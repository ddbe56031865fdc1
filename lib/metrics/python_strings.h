#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

// What published rules do with texts, beside jinja/characters.h and jinja/text_tools.h: all of them
// are Python, and are followed to its white space, letters and cases. Texts are valid UTF-8.

/// str.split(): the runs between white space.
std::vector<std::string_view> python_words(std::string_view text);
/// " ".join(text.strip().lower().split()).
std::string lower_and_single_spaced(std::string_view text);
/// text.strip(character).
std::string_view strip_character(std::string_view text, char character);
/// text.replace(character, replacement).
std::string replace_character(std::string_view text, char character, std::string_view replacement);
/// Without string.punctuation, which is ASCII's.
std::string without_punctuation(std::string_view text);
/// `part in text`.
bool holds_text(std::string_view text, std::string_view part);
/// int(text); nothing where Python refuses it or it has more than 64 bits, which no answer has.
std::optional<int64_t> whole_number(std::string_view text);
/// The characters, to be looked at by their places.
std::u32string characters_of(std::string_view text);

}  // namespace elastikv
