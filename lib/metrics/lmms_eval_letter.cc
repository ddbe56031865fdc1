// lmms-eval's shared rule for the letter of a multiple choice.
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/characters.h"
#include "metrics/choice_letters.h"
#include "metrics/python_strings.h"

namespace elastikv {
namespace {

/// What an answer may be announced by, in lower case.
constexpr std::array<std::u32string_view, 27> kPhrases{U"the answer is",
                                                       U"answer is",
                                                       U"the correct answer is",
                                                       U"correct answer is",
                                                       U"the best answer is",
                                                       U"best answer is",
                                                       U"the correct option is",
                                                       U"correct option is",
                                                       U"the best option is",
                                                       U"best option is",
                                                       U"the choice is",
                                                       U"choice is",
                                                       U"the correct choice is",
                                                       U"correct choice is",
                                                       U"i choose",
                                                       U"i select",
                                                       U"i pick",
                                                       U"my answer is",
                                                       U"my choice is",
                                                       U"옵션",
                                                       U"정답은",
                                                       U"답은",
                                                       U"답:",
                                                       U"答案是",
                                                       U"答案为",
                                                       U"选",
                                                       U"答えは"};

/// The forms in which a letter may stand; the higher, the surer that it is the answer.
enum Rank { kAnywhere = 0, kSpace = 2, kParenthesis = 3, kColon = 4, kPeriod = 5, kBrackets = 6 };
constexpr int kPhraseRank = 7;
constexpr int kEndRank = 9;
constexpr int kStartRank = 10;

struct Candidate {
  char letter;
  size_t place;
  int rank;
};

struct Form {
  std::u32string_view before;
  std::u32string_view after;
  int rank;
};
constexpr std::array<Form, 5> kForms{{{U"(", U")", kBrackets},
                                      {U"", U".", kPeriod},
                                      {U"", U":", kColon},
                                      {U"", U")", kParenthesis},
                                      {U"", U" ", kSpace}}};

char32_t wide(char letter) { return static_cast<char32_t>(letter); }

void find_forms(const std::u32string& text, std::string_view letters,
                std::vector<Candidate>& found) {
  for (const Form& form : kForms) {
    for (const char letter : letters) {
      std::u32string sought(form.before);
      sought += wide(letter);
      sought += form.after;
      const size_t place = text.rfind(sought);
      if (place != std::u32string::npos) found.push_back({letter, place, form.rank});
    }
  }
}

/// Places in the lower-case text are taken for places in the text itself.
void find_phrases(const std::u32string& text, const std::u32string& lowered,
                  std::string_view letters, std::vector<Candidate>& found) {
  for (const std::u32string_view phrase : kPhrases) {
    const size_t begin = lowered.find(phrase);
    if (begin == std::u32string::npos) continue;
    for (const char letter : letters) {
      const size_t place = text.find(wide(letter), begin + phrase.size());
      if (place != std::u32string::npos) found.push_back({letter, place, kPhraseRank});
    }
  }
}

/// At the ends, where no letter stands beside it.
void find_ends(const std::u32string& text, std::string_view letters,
               std::vector<Candidate>& found) {
  size_t begin = 0;
  size_t end = text.size();
  while (begin < end && jinja::is_space(text[begin])) ++begin;
  while (end > begin && jinja::is_space(text[end - 1])) --end;
  if (begin == end) return;
  const size_t size = end - begin;
  for (const char letter : letters) {
    if (text[begin] == wide(letter) && (size == 1 || !jinja::is_alpha(text[begin + 1])))
      found.push_back({letter, 0, kStartRank});
  }
  for (const char letter : letters) {
    if (text[end - 1] == wide(letter) && (size == 1 || !jinja::is_alpha(text[end - 2])))
      found.push_back({letter, text.size() - 1, kEndRank});
  }
}

}  // namespace

std::optional<char> letter_by_lmms_eval(std::string_view text, const Question& question) {
  text = jinja::strip(text);
  if (text.empty()) return std::nullopt;
  for (const char mark : {',', '.', '!', '?', ';', ':', '\'', '"'})
    text = strip_character(text, mark);
  const std::string padded = ' ' + std::string(text) + ' ';
  const std::u32string said = characters_of(padded);
  const std::string letters = offered_letters(question);
  std::vector<Candidate> found;
  find_forms(said, letters, found);
  find_phrases(said, characters_of(jinja::lower(padded)), letters, found);
  find_ends(said, letters, found);
  if (found.empty()) {
    for (const char letter : letters) {
      const size_t place = said.rfind(wide(letter));
      if (place != std::u32string::npos) found.push_back({letter, place, kAnywhere});
    }
  }
  if (found.empty()) return std::nullopt;
  // The first of equals, as a stable sort leaves them.
  return std::max_element(found.begin(), found.end(),
                          [](const Candidate& a, const Candidate& b) {
                            return a.rank != b.rank ? a.rank < b.rank : a.place < b.place;
                          })
      ->letter;
}

}  // namespace elastikv
