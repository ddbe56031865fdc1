// "string-match-all", "string-match-part" and "ruler": RULER's rules.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "jinja/characters.h"
#include "metrics/python_strings.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

/// How RULER reads a text before it looks for answers in it: what cannot be printed is a line end.
std::string text_of_ruler(std::string_view text) {
  std::string line(jinja::strip(text));
  std::replace_if(
      line.begin(), line.end(), [](char one) { return one >= '\0' && one < ' '; }, '\n');
  return jinja::lower(jinja::strip(line));
}

double holds_answer(const std::string& said, const std::string& answer) {
  return holds_text(said, jinja::lower(answer)) ? 1 : 0;
}

/// C.-P. Hsieh et al., "RULER: What's the Real Context Size of Your Long-Context Language Models?",
/// 2024: the share of the answers that are there.
std::optional<double> ruler_all(std::string_view text, const Question& question) {
  const std::string said = text_of_ruler(text);
  double found = 0;
  for (const std::string& answer : question.answers()) found += holds_answer(said, answer);
  return found / static_cast<double>(question.answers().size());
}

/// Whether any of the answers is there.
std::optional<double> ruler_any(std::string_view text, const Question& question) {
  const std::string said = text_of_ruler(text);
  return best_of(question.answers(),
                 [&](const std::string& answer) { return holds_answer(said, answer); });
}

/// Which of the two is a task's: questions about documents have answers that mean the same.
std::optional<double> by_ruler(std::string_view text, const Question& question) {
  const bool asks =
      std::any_of(question.categories.begin(), question.categories.end(),
                  [](const std::string& category) { return category.starts_with("qa"); });
  return asks ? ruler_any(text, question) : ruler_all(text, question);
}

}  // namespace

TextFamily string_match() {
  return family_of(
      {share_rule("string-match-all", "String match (all)", "recall",
                  "type:contains-all|norm:strip,lower-ruler", ruler_all),
       accuracy_rule("string-match-part", "String match (part)",
                     "type:contains|norm:strip,lower-ruler", ruler_any),
       share_rule("ruler", "RULER", "recall",
                  "type:contains-all,contains-of-qa|norm:strip,lower-ruler", by_ruler)});
}

}  // namespace elastikv
