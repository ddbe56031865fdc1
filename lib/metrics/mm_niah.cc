// "mm-niah": needles of texts and images in documents with images.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "jinja/characters.h"
#include "metrics/choice_letters.h"
#include "metrics/python_strings.h"
#include "metrics/text_families.h"
#include "metrics/vqa_answer.h"

namespace elastikv {
namespace {

using OrderedJson = nlohmann::ordered_json;

// W. Wang et al., "Needle In A Multimodal Haystack", 2024.

/// Whether a word ends or begins at a place: \b of a regular expression.
bool is_word_end(const std::u32string& text, size_t place) {
  const auto in_word = [&](size_t at) {
    return at < text.size() && (text[at] == U'_' || jinja::is_alnum(text[at]));
  };
  return (place > 0 && in_word(place - 1)) != in_word(place);
}

bool holds_words(const std::u32string& text, const std::u32string& words) {
  for (size_t at = text.find(words); at != std::u32string::npos; at = text.find(words, at + 1)) {
    if (is_word_end(text, at) && is_word_end(text, at + words.size())) return true;
  }
  return false;
}

/// An option, by its letter or its place from 0.
double niah_choice(std::string_view response, char right) {
  const int place = right - 'A';
  const std::u32string characters = characters_of(response);
  if (!characters.empty() && std::all_of(characters.begin(), characters.end(), jinja::is_digit))
    return whole_number(response) == place ? 1 : 0;
  std::string said = replace_each(jinja::lower(response), "the answer is", "");
  said = replace_character(said, '*', "");
  if (const size_t period = said.find('.'); period != std::string::npos)
    said = replace_character(said.substr(0, period), ',', "");
  said = jinja::strip(said);
  char letter = said.size() == 1 ? said[0] : ' ';
  if (holds_text(said, "the camera is moving left")) {
    letter = 'a';
  } else if (holds_text(said, "the camera is moving right")) {
    letter = 'b';
  }
  return letter - 'a' == place ? 1 : 0;
}

/// As Python compares: true is 1.
bool are_equal(const OrderedJson& a, const OrderedJson& b) {
  const auto number = [](const OrderedJson& value) {
    return value.is_boolean() ? OrderedJson(value.get<bool>() ? 1 : 0) : value;
  };
  return number(a) == number(b);
}

/// Counts image by image: the share of those that are right at their place.
double niah_counts(std::string_view response, const OrderedJson& expected) {
  const std::string text = replace_each(replace_each(response, "json", ""), "```", "");
  const OrderedJson read = OrderedJson::parse(jinja::strip(text), nullptr,
                                              /*allow_exceptions=*/false);
  OrderedJson said = read;
  if (read.is_object()) {
    said = OrderedJson::array();
    for (const OrderedJson& list : read) {
      if (!list.is_array()) return 0;
      said.insert(said.end(), list.begin(), list.end());
    }
  }
  if (!said.is_array()) return 0;
  size_t right = 0;
  for (size_t i = 0; i < std::min(said.size(), expected.size()); ++i)
    right += are_equal(said[i], expected[i]) ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(expected.size());
}

/// Counts are a list as the answer; questions with options ask for one of them; other answers are
/// words that have to stand in the text.
std::optional<double> by_mm_niah(std::string_view text, const Question& question) {
  const std::string_view response = strip_character(text, '.');
  if (!question.options.empty()) {
    const std::optional<char> right = right_letter(question);
    return right ? std::optional(niah_choice(response, *right)) : std::nullopt;
  }
  if (question.answer.starts_with('[')) {
    const OrderedJson expected =
        OrderedJson::parse(question.answer, nullptr, /*allow_exceptions=*/false);
    if (expected.is_array() && !expected.empty()) return niah_counts(response, expected);
  }
  const std::u32string said = characters_of(vqa_answer(response, VqaRules::kMmNiah));
  return std::any_of(question.references.begin(), question.references.end(),
                     [&](const std::string& answer) {
                       return holds_words(said,
                                          characters_of(vqa_answer(answer, VqaRules::kMmNiah)));
                     })
             ? 1
             : 0;
}

}  // namespace

TextFamily mm_niah() {
  return family_of({{.name = "mm-niah",
                     .label = "MM-NIAH",
                     .mean = "score",
                     .definition = "type:choice,counts,words|rule:mm-niah",
                     .lacking = "an answer that is one of the options",
                     .score = by_mm_niah,
                     .right_or_wrong = false}});
}

}  // namespace elastikv
