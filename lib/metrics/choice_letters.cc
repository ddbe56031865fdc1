#include "metrics/choice_letters.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "metrics/python_strings.h"

namespace elastikv {
namespace {

constexpr size_t kMostOptions = 26;
constexpr std::string_view kUnknownOptions = "ABCD";

const std::string& text_of(const Question& question, char letter) {
  return question.options[static_cast<size_t>(letter - 'A')];
}

/// The offered letter that a text is in either case.
std::optional<char> letter_alone(std::string_view text, std::string_view letters) {
  if (text.size() != 1) return std::nullopt;
  const char upper =
      text[0] >= 'a' && text[0] <= 'z' ? static_cast<char>(text[0] - 'a' + 'A') : text[0];
  if (letters.find(upper) == std::string_view::npos) return std::nullopt;
  return upper;
}

std::optional<char> only(char letter, std::string_view letters) {
  if (letters.find(letter) == std::string_view::npos) return std::nullopt;
  return letter;
}

/// Texts that VLMEvalKit takes for no answer, whatever letters are in them.
constexpr std::array<std::string_view, 4> kRefusals{
    "Sorry, I can't help with images of people yet.", "I can't process this file.",
    "I'm sorry, but without the image provided", "Cannot determine the answer"};
constexpr std::string_view kFailedCall = "Failed to obtain answer via API";

/// A letter as VLMEvalKit looks for it; 'Z' where it takes the text for a refusal.
std::optional<char> vlmeval_letter(std::string_view text, std::string_view letters) {
  if (holds_text(text, kFailedCall)) return std::nullopt;
  for (const std::string_view refusal : kRefusals) {
    if (holds_text(text, refusal)) return 'Z';
  }
  std::string apart(text);
  std::replace_if(
      apart.begin(), apart.end(),
      [](char one) {
        return std::string_view(".()[],:;!*#{}").find(one) != std::string_view::npos;
      },
      ' ');
  const std::vector<std::string_view> words = python_words(apart);
  const auto place_of = [&](char letter) {
    return std::find(words.begin(), words.end(), std::string_view(&letter, 1)) - words.begin();
  };
  const auto end = static_cast<std::ptrdiff_t>(words.size());
  std::string found;
  for (const char letter : letters) {
    if (place_of(letter) < end) found += letter;
  }
  if (found.size() == 1) {
    // Among the last words alone: before them it is a part of a sentence.
    if (place_of(found[0]) > end - 5) return found[0];
    return std::nullopt;
  }
  if (found.empty() && place_of('Z') < end) return 'Z';
  return std::nullopt;
}

/// The only option whose text is in the answer, unless that is much longer than all options.
std::optional<char> vlmeval_text(std::string_view text, const Question& question,
                                 std::string_view letters) {
  if (question.options.empty()) return std::nullopt;
  const std::string said = jinja::lower(text);
  size_t length = 0;
  for (const char letter : letters) length += jinja::count_characters(text_of(question, letter));
  if (jinja::count_characters(said) > 2 * length) return std::nullopt;
  std::string found;
  for (const char letter : letters) {
    if (holds_text(said, jinja::lower(text_of(question, letter)))) found += letter;
  }
  if (found.size() != 1) return std::nullopt;
  return found[0];
}

}  // namespace

std::string offered_letters(const Question& question) {
  if (question.options.empty()) return std::string(kUnknownOptions);
  std::string letters;
  for (size_t i = 0; i < std::min(question.options.size(), kMostOptions); ++i) {
    if (!question.options[i].empty()) letters += static_cast<char>('A' + i);
  }
  return letters;
}

std::optional<char> right_letter(const Question& question) {
  const std::string letters = offered_letters(question);
  std::vector<std::string_view> answers{question.answer};
  answers.insert(answers.end(), question.references.begin(), question.references.end());
  for (const std::string_view answer : answers) {
    if (const auto letter = letter_alone(jinja::strip(answer), letters)) return letter;
  }
  if (question.options.empty()) return std::nullopt;
  for (const std::string_view answer : answers) {
    for (const char letter : letters) {
      const std::string& option = text_of(question, letter);
      if (answer == option || answer == std::string(1, letter) + ". " + option) return letter;
    }
  }
  return std::nullopt;
}

std::optional<double> judged_letter(std::optional<char> letter, const Question& question) {
  const std::optional<char> right = right_letter(question);
  if (!right) return std::nullopt;
  return letter == right ? 1 : 0;
}

std::optional<char> letter_by_mmmu(std::string_view text, const Question& question) {
  const std::string letters = offered_letters(question);
  for (const char mark : {',', '.', '!', '?', ';', ':', '\''}) text = strip_character(text, mark);
  const std::string said = ' ' + std::string(text) + ' ';
  const auto with = [](const char* before, char letter, const char* after) {
    return std::string(before) + letter + after;
  };
  struct Form {
    const char* before;
    const char* after;
    const char* sought_before;  // to tell which of several comes last
    const char* sought_after;
  };
  constexpr std::array<Form, 3> kForms{
      {{"(", ")", "(", ")"}, {"", " ", " ", " "}, {"", ".", " ", " "}}};
  std::string found;
  // The last place, by the letter; the first of equals.
  const auto last_of = [&](const auto& place) -> char {
    char last = found[0];
    std::ptrdiff_t furthest = place(found[0]);
    for (const char letter : found) {
      if (place(letter) <= furthest) continue;
      furthest = place(letter);
      last = letter;
    }
    return last;
  };
  const auto place_in = [](const std::string& whole, const std::string& part) {
    const size_t place = jinja::find_last(whole, part);
    return place == std::string::npos ? std::ptrdiff_t{-1} : static_cast<std::ptrdiff_t>(place);
  };
  for (const Form& form : kForms) {
    for (const char letter : letters) {
      if (holds_text(said, with(form.before, letter, form.after))) found += letter;
    }
    if (found.empty()) continue;
    return last_of([&](char letter) {
      return place_in(said, with(form.sought_before, letter, form.sought_after));
    });
  }
  constexpr size_t kFewWords = 5;
  if (question.options.empty() || python_words(said).size() <= kFewWords) return std::nullopt;
  const std::string lowered = jinja::lower(said);
  for (const char letter : letters) {
    if (holds_text(lowered, jinja::lower(text_of(question, letter)))) found += letter;
  }
  if (found.empty()) return std::nullopt;
  return last_of(
      [&](char letter) { return place_in(lowered, jinja::lower(text_of(question, letter))); });
}

std::optional<char> letter_by_vlmeval(std::string_view text, const Question& question) {
  const std::string letters = offered_letters(question);
  if (const auto letter = vlmeval_letter(text, letters)) return only(*letter, letters);
  return vlmeval_text(text, question, letters);
}

std::optional<char> letter_by_ai2d(std::string_view text, const Question& question) {
  const std::string letters = offered_letters(question);
  const std::string_view start = jinja::strip(text, /*left=*/true, /*right=*/false);
  if (start.size() > 1 && start[0] >= 'A' && start[0] <= 'Z' && start[1] == '.')
    return only(start[0], letters);
  return letter_alone(without_punctuation(text), letters);
}

std::optional<char> letter_by_scienceqa(std::string_view text, const Question& question) {
  const std::string letters = offered_letters(question);
  const std::string_view said = jinja::strip(text);
  if (const auto letter = letter_alone(said, letters)) return letter;
  if (said.size() > 1 && said[0] >= 'A' && said[0] <= 'Z' && said[1] == '.')
    return only(said[0], letters);
  return std::nullopt;
}

std::optional<char> letter_by_seed(std::string_view text, const Question& question) {
  const std::string_view said = jinja::strip(text);
  if (said.empty() || static_cast<unsigned char>(said[0]) >= 0x80) return std::nullopt;
  return letter_alone(said.substr(0, 1), offered_letters(question));
}

}  // namespace elastikv
