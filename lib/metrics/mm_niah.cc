// "mm-niah": needles of texts and images in documents with images.
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "jinja/characters.h"
#include "jinja/python_text.h"
#include "metrics/choice_letters.h"
#include "metrics/python_strings.h"
#include "metrics/text_families.h"
#include "metrics/vqa_answer.h"
#include "metrics/vqa_contractions.h"

namespace elastikv {
namespace {

using OrderedJson = nlohmann::ordered_json;

// W. Wang et al., "Needle In A Multimodal Haystack", 2024.

constexpr std::array<std::pair<std::string_view, std::string_view>, 28> kNumberWords{
    {{"zero", "0"},     {"one", "1"},        {"two", "2"},       {"three", "3"},
     {"four", "4"},     {"five", "5"},       {"six", "6"},       {"seven", "7"},
     {"eight", "8"},    {"nine", "9"},       {"ten", "10"},      {"eleven", "11"},
     {"twelve", "12"},  {"thirteen", "13"},  {"fourteen", "14"}, {"fifteen", "15"},
     {"sixteen", "16"}, {"seventeen", "17"}, {"eighteen", "18"}, {"nineteen", "19"},
     {"twenty", "20"},  {"thirty", "30"},    {"forty", "40"},    {"fifty", "50"},
     {"sixty", "60"},   {"seventy", "70"},   {"eighty", "80"},   {"ninety", "90"}}};

/// A text as it is looked through: on one line, without punctuation and articles, numbers as
/// digits.
std::string niah_words(std::string_view text) {
  const std::string line = replace_character(replace_character(text, '\n', " "), '\t', " ");
  const std::string plain = vqa_without_marks(jinja::strip(line), VqaRules::kMmNiah);
  const std::string lowered = jinja::lower(plain);
  std::vector<std::string_view> words;
  for (std::string_view word : python_words(lowered)) {
    const auto number = std::find_if(kNumberWords.begin(), kNumberWords.end(),
                                     [&](const auto& entry) { return entry.first == word; });
    if (number != kNumberWords.end()) word = number->second;
    if (word == "a" || word == "an" || word == "the") continue;
    words.push_back(contraction_of(word));
  }
  return fmt::format("{}", fmt::join(words, " "));
}

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
  const bool digits = !response.empty() && [&] {
    for (const char32_t character : characters_of(response)) {
      if (!jinja::is_digit(character)) return false;
    }
    return true;
  }();
  if (digits) {
    try {
      return jinja::parse_integer(response, /*base=*/10) == place ? 1 : 0;
    } catch (const Error&) {
      return 0;  // beyond 64 bits
    }
  }
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
  const std::u32string said = characters_of(niah_words(response));
  return std::any_of(question.references.begin(), question.references.end(),
                     [&](const std::string& answer) {
                       return holds_words(said, characters_of(niah_words(answer)));
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
