#include "metrics/python_strings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/utf8.h"
#include "jinja/characters.h"
#include "jinja/python_text.h"
#include "jinja/text_tools.h"

namespace elastikv {

std::vector<std::string_view> python_words(std::string_view text) {
  return jinja::split(text, std::nullopt, /*most=*/-1);
}

std::string lower_and_single_spaced(std::string_view text) {
  const std::string lowered = jinja::lower(jinja::strip(text));
  return fmt::format("{}", fmt::join(python_words(lowered), " "));
}

std::string_view strip_character(std::string_view text, char character) {
  return jinja::stripped(text, std::string_view(&character, 1), /*left=*/true, /*right=*/true);
}

std::string replace_character(std::string_view text, char character, std::string_view replacement) {
  std::string replaced;
  for (const char one : text) {
    if (one == character) {
      replaced += replacement;
    } else {
      replaced += one;
    }
  }
  return replaced;
}

std::string without_punctuation(std::string_view text) {
  constexpr std::string_view kPunctuation = R"(!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~)";
  std::string rest;
  for (const char one : text) {
    if (kPunctuation.find(one) == std::string_view::npos) rest += one;
  }
  return rest;
}

bool holds_text(std::string_view text, std::string_view part) {
  return jinja::find_text(text, part) != std::string_view::npos;
}

std::optional<int64_t> whole_number(std::string_view text) {
  try {
    return jinja::parse_integer(text, /*base=*/10);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::u32string characters_of(std::string_view text) {
  const std::vector<char32_t> characters = to_characters(text);
  return {characters.begin(), characters.end()};
}

}  // namespace elastikv
