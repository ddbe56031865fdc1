#include "metrics/caption_words.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "metrics/python_strings.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

constexpr std::u32string_view kNoWords =
    U".,;:?!'\"`-\u2010\u2011\u2012\u2013\u2014\u2015\u2018"
    U"\u2019\u201c\u201d\u2026";

/// As the tokenizer writes them.
constexpr std::array<std::pair<char32_t, std::string_view>, 6> kBrackets{{{U'(', "-lrb-"},
                                                                          {U')', "-rrb-"},
                                                                          {U'[', "-lsb-"},
                                                                          {U']', "-rsb-"},
                                                                          {U'{', "-lcb-"},
                                                                          {U'}', "-rcb-"}}};

/// Words that are two: how many letters the first has.
constexpr std::array<std::pair<std::u32string_view, size_t>, 6> kDouble{
    {{U"cannot", 3}, {U"gonna", 3}, {U"wanna", 3}, {U"gotta", 3}, {U"lemme", 3}, {U"gimme", 3}}};

/// What is cut from a word's end.
constexpr std::array<std::u32string_view, 7> kEnds{U"n't", U"'s",  U"'m", U"'d",
                                                   U"'re", U"'ve", U"'ll"};

bool is_digit(char32_t character) { return character >= U'0' && character <= U'9'; }

bool is_part(char32_t character) {
  return is_letter(character) || is_mark(character) || is_number(character);
}

/// Whether a sign between two characters holds them together in one word.
bool joins(char32_t sign, char32_t before, char32_t after) {
  if (sign == U'-' || sign == U'\'') return is_part(before) && is_part(after);
  if (sign == U'.' || sign == U',' || sign == U':') return is_digit(before) && is_digit(after);
  if (sign == U'/' || sign == U'_') return is_part(before) && is_part(after);
  return false;
}

/// How long the letters with periods are that begin at a place, "u.s.", "p.m.", or "a." at a
/// sentence's end; 0: there are none.
size_t initials_at(const std::u32string& text, size_t begin) {
  size_t end = begin;
  while (end + 1 < text.size() && text[end] >= U'a' && text[end] <= U'z' && text[end + 1] == U'.') {
    end += 2;
  }
  const bool goes_on = end < text.size() && is_part(text[end]);
  return goes_on ? 0 : end - begin;
}

/// How many ? and ! stand together at a place: several are a word.
size_t marks_at(const std::u32string& text, size_t begin) {
  size_t end = begin;
  while (end < text.size() && (text[end] == U'?' || text[end] == U'!')) ++end;
  return end - begin;
}

std::string utf8_of(std::u32string_view word) {
  std::string text;
  for (const char32_t character : word) append_utf8(text, character);
  return text;
}

void add_word(std::u32string_view word, std::vector<std::string>& words) {
  for (const auto& [known, first] : kDouble) {
    if (word != known) continue;
    words.push_back(utf8_of(word.substr(0, first)));
    words.push_back(utf8_of(word.substr(first)));
    return;
  }
  for (const std::u32string_view end : kEnds) {
    if (word.size() <= end.size() || !word.ends_with(end)) continue;
    words.push_back(utf8_of(word.substr(0, word.size() - end.size())));
    words.push_back(utf8_of(end));
    return;
  }
  words.push_back(utf8_of(word));
}

void add_sign(char32_t sign, std::vector<std::string>& words) {
  if (kNoWords.find(sign) != std::u32string_view::npos) return;
  const auto bracket = std::find_if(kBrackets.begin(), kBrackets.end(),
                                    [&](const auto& entry) { return entry.first == sign; });
  if (bracket != kBrackets.end()) {
    words.emplace_back(bracket->second);
  } else {
    words.push_back(utf8_of(std::u32string_view(&sign, 1)));
  }
}

}  // namespace

std::vector<std::string> caption_words(std::string_view text) {
  std::u32string lowered = characters_of(jinja::lower(replace_broken_utf8(text)));
  std::replace(lowered.begin(), lowered.end(), U'\u2019', U'\'');
  std::vector<std::string> words;
  for (size_t at = 0; at < lowered.size();) {
    const char32_t character = lowered[at];
    if (const size_t marks = marks_at(lowered, at); marks > 1) {
      words.push_back(utf8_of(std::u32string_view(lowered).substr(at, marks)));
      at += marks;
      continue;
    }
    if (!is_part(character)) {
      if (!jinja::is_space(character)) add_sign(character, words);
      ++at;
      continue;
    }
    const bool inside = at > 0 && is_part(lowered[at - 1]);
    if (const size_t initials = inside ? 0 : initials_at(lowered, at); initials > 0) {
      words.push_back(utf8_of(std::u32string_view(lowered).substr(at, initials)));
      at += initials;
      continue;
    }
    size_t end = at + 1;
    while (end < lowered.size()) {
      if (is_part(lowered[end])) {
        ++end;
      } else if (end + 1 < lowered.size() &&
                 joins(lowered[end], lowered[end - 1], lowered[end + 1])) {
        end += 2;
      } else {
        break;
      }
    }
    add_word(std::u32string_view(lowered).substr(at, end - at), words);
    at = end;
  }
  return words;
}

}  // namespace elastikv
