// "milebench-choice" and its kin: MileBench's rules.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "metrics/python_strings.h"
#include "metrics/rouge_pltrdy.h"
#include "metrics/text_families.h"
#include "metrics/vqa_answer.h"

namespace elastikv {
namespace {

// D. Song et al., "MileBench: Benchmarking MLLMs in Long Context", 2024.

/// A text as it is compared.
std::string mile_text(std::string_view text) {
  const std::string plain = vqa_without_marks(text, VqaRules::kMmNiah);
  const std::string_view bare = strip_character(strip_character(plain, '\''), '"');
  return jinja::lower(jinja::strip(bare));
}

struct Found {
  size_t option;
  std::string_view text;
};

/// The first of the texts that stands leftmost; of those at one place the first.
std::optional<Found> leftmost(std::string_view text, const std::vector<std::string>& sought) {
  std::optional<Found> found;
  size_t least = text.size() + 1;
  for (size_t i = 0; i < sought.size(); ++i) {
    const size_t at = jinja::find_text(text, sought[i]);
    if (at == std::string_view::npos || at >= least) continue;
    least = at;
    found = Found{i, text.substr(at, sought[i].size())};
  }
  return found;
}

/// A regular expression in which the rule would look for the text, where that is another one.
bool is_escaped(std::string_view text) {
  return text.find_first_of("\\.^$*+?{}[]|()") != std::string_view::npos;
}

/// The letter of an option: a character for each, A first, whatever follows Z.
std::string letter_of_option(size_t option) {
  std::string letter;
  append_utf8(letter, static_cast<char32_t>('A' + option));
  return letter;
}

/// The letters that MileBench reads from a text: letter and option, the option alone, the letter
/// alone, and else all letters of options in it; an empty text is C. An option that is escaped in
/// the rule's regular expression is found, but is not known again by the second form.
std::string letters_by_milebench(const std::string& text, const std::vector<std::string>& options) {
  if (text.empty()) return "C";
  std::vector<std::string> lettered;
  std::vector<std::string> bare;
  for (size_t i = 0; i < options.size(); ++i) {
    lettered.push_back(mile_text(fmt::format("{} {}", letter_of_option(i), options[i])));
    bare.push_back(replace_character(mile_text(options[i]), ' ', ""));
  }
  if (const auto found = leftmost(text, lettered)) {
    const std::string first(
        found->text.substr(0, found->text.empty() ? 0 : jinja::character_size(found->text[0])));
    return jinja::upper(first);
  }
  const std::string spaceless = replace_character(text, ' ', "");
  if (const auto found = leftmost(spaceless, bare)) {
    const std::string_view said = jinja::strip(found->text);
    for (size_t i = 0; i < bare.size(); ++i) {
      if (said == bare[i] && !is_escaped(bare[i])) return jinja::upper(letter_of_option(i));
    }
  }
  std::string letters;
  for (const char32_t character : to_characters(text)) {
    std::string one;
    append_utf8(one, character);
    const std::string upper = jinja::upper(one);
    for (size_t i = 0; i < options.size(); ++i) {
      if (upper == letter_of_option(i)) letters += upper;
    }
  }
  return letters;
}

std::optional<double> mile_choice(std::string_view text, const Question& question) {
  std::vector<std::string> options;
  for (const std::string& option : question.options) options.push_back(mile_text(option));
  const auto right = std::find(options.begin(), options.end(), mile_text(question.answer));
  if (right == options.end()) return std::nullopt;
  return letters_by_milebench(mile_text(text), options) ==
                 letter_of_option(static_cast<size_t>(right - options.begin()))
             ? 1
             : 0;
}

std::optional<double> mile_rouge(std::string_view text, const Question& question) {
  const std::string said = mile_text(text);
  return best_of(question.references, [&](const std::string& answer) {
    return PltrdyRouge(mile_text(answer), said).rouge_l().f;
  });
}

std::optional<double> mile_needle(std::string_view text, const Question& question) {
  const std::string said = mile_text(text);
  const std::vector<std::string_view> words = python_words(said);
  return std::find(words.begin(), words.end(), mile_text(question.answer)) != words.end() ? 1 : 0;
}

std::optional<double> mile_contains(std::string_view text, const Question& question) {
  return holds_text(mile_text(text), mile_text(question.answer)) ? 1 : 0;
}

}  // namespace

TextFamily milebench() {
  return family_of({accuracy_rule("milebench-choice", "Multiple choice (MileBench)",
                                  "type:choice|rule:milebench|empty:C", mile_choice,
                                  "an answer that is one of the options"),
                    share_rule("milebench-rouge-l", "ROUGE-L (MileBench)", "F",
                               "type:f|tok:pltrdy-1.0.1|norm:milebench|empty:zero", mile_rouge),
                    accuracy_rule("milebench-needle", "Needle (MileBench)",
                                  "type:word|norm:milebench", mile_needle),
                    accuracy_rule("milebench-contains", "Answer (MileBench)",
                                  "type:contains|norm:milebench", mile_contains)});
}

}  // namespace elastikv
