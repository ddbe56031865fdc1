#include "metrics/rouge_words.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "metrics/porter_stemmer.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

using Lines = std::vector<std::vector<std::string>>;

bool is_google_letter(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
}

/// Python's str.lower() makes ASCII out of two letters beyond ASCII only: U+0130 (i and a combining
/// dot) and U+212A, the Kelvin sign (k).
Lines google_lines(std::string_view text, bool stem) {
  Lines lines(1);
  std::string word;
  const auto finish = [&] {
    if (word.empty()) return;
    lines.back().push_back(stem && word.size() > 3 ? porter_stem(word) : word);
    word.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char letter =
        text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (is_google_letter(letter)) {
      word += letter;
    } else if (text.substr(i, 3) == "\u212A") {
      word += 'k';
      i += 2;
    } else if (text.substr(i, 2) == "\u0130") {
      word += 'i';
      i += 1;
      finish();
    } else {
      finish();
      if (letter == '\n') lines.emplace_back();
    }
  }
  finish();
  return lines;
}

struct Characters {
  char32_t first;
  char32_t last;
};

/// Scripts that are written without spaces between words.
constexpr std::array<Characters, 17> kSpaceless{{
    {U'\u0E00', U'\u0EFF'},          // Thai, Lao
    {U'\u1000', U'\u109F'},          // Burmese
    {U'\u1780', U'\u17FF'},          // Khmer
    {U'\u2E80', U'\u2FDF'},          // radicals of Han characters
    {U'\u3005', U'\u3007'},          // marks among Han characters
    {U'\u3021', U'\u3029'},          // numerals
    {U'\u3038', U'\u303B'},          // numerals and marks
    {U'\u3040', U'\u30FF'},          // kana
    {U'\u31F0', U'\u31FF'},          // kana
    {U'\u3400', U'\u4DBF'},          // Han
    {U'\u4E00', U'\u9FFF'},          // Han
    {U'\uA9E0', U'\uA9FF'},          // Burmese
    {U'\uAA60', U'\uAA7F'},          // Burmese
    {U'\uF900', U'\uFAFF'},          // Han
    {U'\uFF66', U'\uFF9F'},          // kana
    {U'\U0001B000', U'\U0001B16F'},  // kana
    {U'\U00020000', U'\U0003FFFF'},  // Han
}};

bool is_spaceless(char32_t character) {
  return std::any_of(kSpaceless.begin(), kSpaceless.end(), [&](const Characters& range) {
    return character >= range.first && character <= range.last;
  });
}

Lines unicode_lines(std::string_view text, bool each_character) {
  Lines lines(1);
  std::string word;
  const auto finish = [&] {
    if (!word.empty()) lines.back().push_back(word);
    word.clear();
  };
  const std::string lowered =
      lowercase(normalize_unicode(replace_broken_utf8(text), NormalizationForm::kNfc));
  for (const char32_t character : to_characters(lowered)) {
    if (!is_letter(character) && !is_mark(character) && !is_number(character)) {
      finish();
      if (character == U'\n') lines.emplace_back();
      continue;
    }
    const bool alone = each_character || is_spaceless(character);
    if (alone) finish();
    append_utf8(word, character);
    if (alone) finish();
  }
  finish();
  return lines;
}

bool holds(std::u32string_view characters, char32_t character) {
  return characters.find(character) != std::u32string_view::npos;
}

/// The text with a line end behind each sentence.
std::string sentence_lines(std::string_view text) {
  constexpr std::u32string_view kMarks = U".!?…。！？｡";
  constexpr std::u32string_view kFull = U"。！？｡";
  constexpr std::u32string_view kClosing = U"\"'”’»)]」』）】";
  const std::vector<char32_t> characters = to_characters(replace_broken_utf8(text));
  std::string lines;
  for (size_t i = 0; i < characters.size();) {
    if (!holds(kMarks, characters[i])) {
      append_utf8(lines, characters[i++]);
      continue;
    }
    bool full = false;
    for (; i < characters.size() && holds(kMarks, characters[i]); ++i) {
      full = full || holds(kFull, characters[i]);
      append_utf8(lines, characters[i]);
    }
    for (; i < characters.size() && holds(kClosing, characters[i]); ++i)
      append_utf8(lines, characters[i]);
    if (full || (i < characters.size() && is_whitespace(characters[i]))) lines += '\n';
  }
  return lines;
}

Lines lines_of(std::string_view text, RougeWords words) {
  switch (words) {
    case RougeWords::kGoogle:
    case RougeWords::kGoogleStem:
      return google_lines(text, words == RougeWords::kGoogleStem);
    case RougeWords::kCharacters:
    case RougeWords::kUnicode:
      return unicode_lines(text, words == RougeWords::kCharacters);
  }
  return {};
}

}  // namespace

std::vector<std::string> rouge_words(std::string_view text, RougeWords words) {
  std::vector<std::string> all;
  for (std::vector<std::string>& line : lines_of(text, words)) {
    all.insert(all.end(), std::make_move_iterator(line.begin()),
               std::make_move_iterator(line.end()));
  }
  return all;
}

std::vector<std::vector<std::string>> rouge_sentences(std::string_view text, RougeWords words,
                                                      RougeSentences sentences) {
  Lines lines = lines_of(
      sentences == RougeSentences::kMarks ? sentence_lines(text) : std::string(text), words);
  std::erase_if(lines, [](const std::vector<std::string>& line) { return line.empty(); });
  return lines;
}

}  // namespace elastikv
