// InfiniteBench's rules beside "qa-f1" and "qa-f1-characters", and those of SCBench where it
// changed them.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/strings.h"
#include "jinja/characters.h"
#include "jinja/python_text.h"
#include "metrics/choice_letters.h"
#include "metrics/long_texts.h"
#include "metrics/python_strings.h"
#include "metrics/rouge_google.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

// X. Zhang et al., "InfiniteBench: Extending Long Context Evaluation Beyond 100K Tokens", 2024; Y.
// Li et al., "SCBench: A KV Cache-Centric Analysis of Long-Context Methods", 2025. Where a
// published rule ends with an exception, the text is wrong.

/// The first answer: of tasks that have one.
const std::string& answer_to(const Question& question) { return question.references.front(); }

std::optional<double> truth(bool is_right) { return is_right ? 1 : 0; }

/// The words between marks.
std::vector<std::string> words_between(std::string_view text, std::string_view marks) {
  const std::string spaced = spaced_out(text, marks);
  const std::vector<std::string_view> words = python_words(spaced);
  return {words.begin(), words.end()};
}

constexpr std::string_view kMarks = "\n:\"'.,?!{}";

bool holds_word(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::optional<double> infinite_value(std::string_view text, const Question& question) {
  return truth(holds_word(words_between(text, kMarks), answer_to(question)));
}

/// Runs of ASCII digits.
std::vector<std::string_view> plain_numbers(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  std::vector<std::string_view> numbers;
  for (size_t at = text.find_first_of(kDigits); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_not_of(kDigits, at), text.size());
    numbers.push_back(text.substr(at, end - at));
    at = text.find_first_of(kDigits, end);
  }
  return numbers;
}

std::optional<double> infinite_number(std::string_view text, const Question& question) {
  const std::vector<std::string_view> numbers = plain_numbers(text);
  return truth(answer_to(question) == (numbers.empty() ? "" : numbers.front()));
}

/// The number that the text ends with.
std::optional<double> infinite_code_run(std::string_view text, const Question& question) {
  const std::optional<int64_t> right = whole_number(answer_to(question));
  if (!right) return std::nullopt;
  const std::vector<std::string> words = words_between(jinja::strip(text), "\n.`'\":");
  return truth(!words.empty() && whole_number(words.back()) == right);
}

/// The right option: its text, which is empty where it is not known, and its letter.
struct RightOption {
  std::string text;
  std::string letter;
};

std::optional<RightOption> right_option(const Question& question) {
  const std::optional<char> letter = right_letter(question);
  if (!letter) return std::nullopt;
  const auto place = static_cast<size_t>(*letter - 'A');
  return RightOption{place < question.options.size() ? question.options[place] : "",
                     std::string(1, *letter)};
}

/// What follows the first of these texts that is there, without the character behind it; absent
/// where none is there.
template <size_t size>
std::optional<std::string_view> behind_first_of(
    std::string_view text, const std::array<std::string_view, size>& prefixes) {
  for (const std::string_view prefix : prefixes) {
    const size_t at = jinja::find_text(text, prefix);
    if (at == std::string_view::npos) continue;
    text.remove_prefix(at + prefix.size());
    if (!text.empty()) text.remove_prefix(jinja::character_size(text.front()));
    return text;
  }
  return std::nullopt;
}

bool begins_with(std::string_view text, const RightOption& right) {
  return text.starts_with(right.letter) || (!right.text.empty() && text.starts_with(right.text));
}

std::optional<double> infinite_code_debug(std::string_view text, const Question& question) {
  constexpr std::array<std::string_view, 3> kPrefixes{"answer is:", "is:", "answer:"};
  const std::optional<RightOption> right = right_option(question);
  if (!right) return std::nullopt;
  if (text.starts_with(right->letter + ".") || text.starts_with(right->letter + ":")) return 1;
  std::string said = spaced_out(jinja::strip(text), "\n`'\"-*");
  said = replace_each(replace_each(said, "Option", " "), "option", " ");
  said = single_spaced(said);
  const auto behind = behind_first_of(said, kPrefixes);
  return truth(behind && begins_with(*behind, *right));
}

/// The option by the first letter, else behind words that announce it, else the first word that is
/// a letter.
double chosen(std::string_view text, const RightOption& right) {
  constexpr std::string_view kLetters = "ABCD";
  constexpr std::array<std::string_view, 4> kPrefixes{"answer is:", "answer:", "answer is",
                                                      "option is"};
  const auto is_right = [&](std::string_view word) {
    return word == right.letter || word == right.text ? 1 : 0;
  };
  if (!text.empty() && kLetters.find(text.front()) != std::string_view::npos)
    return is_right(text.substr(0, 1));
  const std::string said = single_spaced(spaced_out(text, "\n\"'.,?!{}"));
  if (const auto behind = behind_first_of(said, kPrefixes))
    return begins_with(*behind, right) ? 1 : 0;
  for (const std::string_view word : python_words(said)) {
    if (kLetters.find(word) != std::string_view::npos) return is_right(word);
  }
  return 0;
}

std::optional<double> infinite_choice(std::string_view text, const Question& question) {
  const std::optional<RightOption> right = right_option(question);
  if (!right) return std::nullopt;
  return chosen(text, *right);
}

std::optional<double> scbench_choice(std::string_view text, const Question& question) {
  const std::optional<RightOption> right = right_option(question);
  if (!right) return std::nullopt;
  text = jinja::strip(text);
  if (text.empty()) return 0;
  const bool is_letter = text.front() >= 'A' && text.front() <= 'D';
  return !is_letter && text == right->text ? 1 : chosen(text, *right);
}

std::optional<double> infinite_dialogue(std::string_view text, const Question& question) {
  const std::string upper = jinja::upper(spaced_out(text, kMarks));
  const std::vector<std::string_view> words = python_words(upper);
  return truth(std::find(words.begin(), words.end(), answer_to(question)) != words.end());
}

/// The first number of a text: digits of any script, with a fraction where one follows.
std::optional<std::string> first_number(std::string_view text) {
  const std::vector<std::string_view> runs = digit_runs(text);
  if (runs.empty()) return std::nullopt;
  std::string number(runs.front());
  if (runs.size() > 1) {
    const char* end = runs[0].data() + runs[0].size();
    if (runs[1].data() == end + 1 && *end == '.') number += fmt::format(".{}", runs[1]);
  }
  return number;
}

bool is_fraction(std::string_view number) { return number.find('.') != std::string_view::npos; }

/// `cut`: a fraction in the text is cut off before it is compared with a whole number.
std::optional<double> found_number(std::string_view text, const Question& question, bool cut) {
  const std::string& answer = answer_to(question);
  const std::optional<double> right = jinja::parse_float(answer);
  if (!right) return std::nullopt;
  const std::optional<std::string> said = first_number(text);
  if (!said) return 0;
  const std::optional<double> value = jinja::parse_float(*said);
  if (!value) return 0;
  if (is_fraction(answer)) return truth(*value == *right);
  if (is_fraction(*said) && !cut) return 0;
  return truth(std::trunc(*value) == *right);
}

std::optional<double> infinite_math_find(std::string_view text, const Question& question) {
  return found_number(text, question, /*cut=*/false);
}
std::optional<double> scbench_math_find(std::string_view text, const Question& question) {
  return found_number(text, question, /*cut=*/true);
}

/// The share of the intermediate values that are right before the first that is not.
std::optional<double> infinite_math_calc(std::string_view text, const Question& question) {
  const std::vector<std::string_view> numbers = plain_numbers(text);
  const std::vector<std::string>& answers = question.answers();
  const auto without_zeros = [](std::string_view number) {
    number.remove_prefix(std::min(number.find_first_not_of('0'), number.size()));
    return number;
  };
  size_t right = 0;
  while (right < std::min(numbers.size(), answers.size()) &&
         without_zeros(numbers[right]) == without_zeros(answers[right]))
    ++right;
  return static_cast<double>(right) / static_cast<double>(answers.size());
}

std::optional<double> infinite_summary(std::string_view text, const Question& question) {
  return GoogleRouge(answer_to(question), text, RougeWords::kGoogle).rouge_lsum().f;
}

std::optional<double> scbench_value(std::string_view text, const Question& question) {
  return truth(holds_text(text, answer_to(question)));
}

std::optional<double> scbench_any(std::string_view text, const Question& question) {
  const std::string said = jinja::upper(jinja::strip(text));
  return truth(std::any_of(
      question.references.begin(), question.references.end(),
      [&](const std::string& answer) { return holds_text(said, jinja::upper(answer)); }));
}

/// RULER's share of answers, rounded to hundredths and without its reading of the text.
std::optional<double> scbench_all(std::string_view text, const Question& question) {
  const std::string said = jinja::lower(text);
  double found = 0;
  for (const std::string& answer : question.answers())
    found += holds_text(said, jinja::lower(answer)) ? 1 : 0;
  return std::nearbyint(100 * found / static_cast<double>(question.answers().size())) / 100;
}

}  // namespace

TextFamily infinitebench() {
  constexpr const char* kOption = "an answer that is one of the options";
  constexpr const char* kNumber = "a number as the answer";
  return family_of(
      {accuracy_rule("infinitebench-value", "Value (InfiniteBench)",
                     "type:word|norm:marks-infinitebench", infinite_value),
       accuracy_rule("infinitebench-number", "First number (InfiniteBench)",
                     "type:first-digits-infinitebench", infinite_number),
       accuracy_rule("infinitebench-dialogue", "Name (InfiniteBench)",
                     "type:word|norm:marks,upper-infinitebench", infinite_dialogue),
       accuracy_rule("infinitebench-choice", "Multiple choice (InfiniteBench)",
                     "type:choice|rule:infinitebench|none:wrong", infinite_choice, kOption),
       share_rule("infinitebench-summary", "ROUGE-Lsum (InfiniteBench)", "F",
                  "type:f|tok:rouge-score-0.1.2|lsum:newline", infinite_summary),
       accuracy_rule("infinitebench-code-run", "Code run (InfiniteBench)",
                     "type:last-integer-infinitebench", infinite_code_run, kNumber),
       accuracy_rule("infinitebench-code-debug", "Code debug (InfiniteBench)",
                     "type:choice|rule:infinitebench-debug|none:wrong", infinite_code_debug,
                     kOption),
       accuracy_rule("infinitebench-math-find", "Math find (InfiniteBench)",
                     "type:first-number-infinitebench", infinite_math_find, kNumber),
       share_rule("infinitebench-math-calc", "Math calc (InfiniteBench)", "share",
                  "type:share-of-first-values-infinitebench", infinite_math_calc),
       accuracy_rule("scbench-value", "Value (SCBench)", "type:contains-scbench", scbench_value),
       accuracy_rule("scbench-any", "Answer (SCBench)", "type:contains|norm:strip,upper-scbench",
                     scbench_any),
       share_rule("scbench-all", "String match (SCBench)", "recall",
                  "type:contains-all|norm:lower|digits:2-scbench", scbench_all),
       accuracy_rule("scbench-choice", "Multiple choice (SCBench)",
                     "type:choice|rule:scbench|none:wrong", scbench_choice, kOption),
       accuracy_rule("scbench-math-find", "Math find (SCBench)", "type:first-number-scbench",
                     scbench_math_find, kNumber)});
}

}  // namespace elastikv
