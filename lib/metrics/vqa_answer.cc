#include "metrics/vqa_answer.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "jinja/characters.h"
#include "metrics/python_strings.h"
#include "metrics/vqa_contractions.h"

namespace elastikv {
namespace {

constexpr std::u32string_view kPunctuation = U";/[]\"{}()=+\\_-><@`,?!";
/// re.sub gets re.UNICODE, which is 32, where it takes how many to replace, in both kits.
constexpr int kMostPeriods = 32;

using NumberWord = std::pair<std::string_view, std::string_view>;
constexpr std::array<NumberWord, 29> kNumbers{
    {{"none", "0"},      {"zero", "0"},     {"one", "1"},        {"two", "2"},
     {"three", "3"},     {"four", "4"},     {"five", "5"},       {"six", "6"},
     {"seven", "7"},     {"eight", "8"},    {"nine", "9"},       {"ten", "10"},
     {"eleven", "11"},   {"twelve", "12"},  {"thirteen", "13"},  {"fourteen", "14"},
     {"fifteen", "15"},  {"sixteen", "16"}, {"seventeen", "17"}, {"eighteen", "18"},
     {"nineteen", "19"}, {"twenty", "20"},  {"thirty", "30"},    {"forty", "40"},
     {"fifty", "50"},    {"sixty", "60"},   {"seventy", "70"},   {"eighty", "80"},
     {"ninety", "90"}}};

/// None to ten; MM-NIAH's know more numbers, and no "none".
std::span<const NumberWord> numbers_of(VqaRules rules) {
  const std::span<const NumberWord> all(kNumbers);
  return rules == VqaRules::kMmNiah ? all.subspan(1) : all.first(12);
}

/// A character by its place; 0 beyond the ends.
char32_t character_of(const std::u32string& text, size_t place) {
  return place < text.size() ? text[place] : U'\0';
}

/// Commas between digits: as many as there are for lmms-eval's rules, a single one for the others.
bool has_grouped_digits(const std::u32string& text, bool several) {
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] != U',' || !jinja::is_decimal(text[i - 1])) continue;
    size_t end = i + 1;
    while (several && character_of(text, end) == U',') ++end;
    if (jinja::is_decimal(character_of(text, end))) return true;
  }
  return false;
}

std::string with_plain_words(std::string_view text, VqaRules rules) {
  const std::span<const NumberWord> numbers = numbers_of(rules);
  const std::string lowered = jinja::lower(text);
  std::vector<std::string_view> words;
  for (std::string_view word : python_words(lowered)) {
    if (word == "a" || word == "an" || word == "the") continue;
    const auto number = std::find_if(numbers.begin(), numbers.end(),
                                     [&](const auto& entry) { return entry.first == word; });
    if (number != numbers.end()) word = number->second;
    words.push_back(contraction_of(word));
  }
  return fmt::format("{}", fmt::join(words, " "));
}

/// Line ends and tabs as spaces, none at the ends.
std::string on_one_line(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](char one) { return one == '\n' || one == '\t'; }, ' ');
  return std::string(jinja::strip(line));
}

}  // namespace

std::string_view vqa_rules_name(VqaRules rules) {
  switch (rules) {
    case VqaRules::kEvalAi:
      return "evalai-lmms-eval-0.7.3";
    case VqaRules::kVqaV2:
      return "vqav2-lmms-eval-0.7.3";
    case VqaRules::kVlmEval:
      return "vlmevalkit-0.0.20";
    case VqaRules::kMmNiah:
      return "mm-niah";
  }
  throw InternalError("rules of VQA without a name");
}

/// Punctuation beside a space vanishes, and everywhere where digits are grouped by commas; other
/// punctuation becomes a space. A period goes where no digit follows it.
std::string vqa_without_marks(std::string_view text, VqaRules rules) {
  const std::string line = on_one_line(text);
  const std::u32string before = characters_of(line);
  const bool vlmeval = rules == VqaRules::kVlmEval;
  const bool several = rules == VqaRules::kEvalAi || rules == VqaRules::kVqaV2;
  const bool grouped = has_grouped_digits(before, several);
  std::array<bool, 0x80> vanishes{};
  for (const char32_t mark : kPunctuation) {
    bool beside_space = false;
    for (size_t i = 0; i < before.size() && !beside_space; ++i) {
      beside_space = before[i] == mark &&
                     (character_of(before, i + 1) == U' ' || (i > 0 && before[i - 1] == U' '));
    }
    vanishes[mark] = grouped || beside_space;
  }
  std::u32string after;
  for (const char32_t character : before) {
    if (kPunctuation.find(character) == std::u32string_view::npos) {
      after += character;
    } else if (!vanishes[character]) {
      after += U' ';
    }
  }
  std::string result;
  int periods = 0;
  for (size_t i = 0; i < after.size(); ++i) {
    const bool behind_digit = vlmeval && i > 0 && jinja::is_decimal(after[i - 1]);
    if (after[i] == U'.' && periods < kMostPeriods && !behind_digit &&
        !jinja::is_decimal(character_of(after, i + 1))) {
      ++periods;
      continue;
    }
    append_utf8(result, after[i]);
  }
  return result;
}

std::string vqa_answer(std::string_view text, VqaRules rules) {
  std::string answer(text);
  if (rules == VqaRules::kEvalAi) {
    answer = replace_character(replace_character(jinja::lower(text), ',', ""), '?', "");
    answer = jinja::strip(replace_each(answer, "'s", " 's"));
  }
  return with_plain_words(vqa_without_marks(answer, rules), rules);
}

}  // namespace elastikv
