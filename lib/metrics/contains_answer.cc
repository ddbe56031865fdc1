// "contains-answer" and its kin: an accepted answer stands somewhere in the text.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "jinja/text_tools.h"
#include "metrics/python_strings.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

/// Of which OCRBench compares formulas, letter by letter. The first is the kind of question, the
/// second the data set it comes from.
constexpr std::string_view kFormulas = "Handwritten Mathematical Expression Recognition";
constexpr std::string_view kFormulaSet = "HME100k";

bool is_formula(const Question& question) {
  return std::any_of(
      question.categories.begin(), question.categories.end(),
      [](const std::string& category) { return category == kFormulas || category == kFormulaSet; });
}

/// The wide forms of ASCII, as Chinese and Japanese texts have them, as ASCII.
std::string with_narrow_letters(std::string_view text) {
  std::string narrow;
  for (const char32_t character : to_characters(text)) {
    if (character >= 0xFF01 && character <= 0xFF5E) {
      narrow += static_cast<char>(character - 0xFEE0);
    } else if (character == 0x3000) {
      narrow += ' ';
    } else {
      append_utf8(narrow, character);
    }
  }
  return narrow;
}

std::string formula_of(std::string_view text) {
  const std::string line = replace_character(jinja::strip(text), '\n', " ");
  return replace_character(line, ' ', "");
}

std::string line_of(std::string_view text) {
  const std::string lowered = jinja::lower(text);
  return replace_character(jinja::strip(lowered), '\n', " ");
}

template <bool narrow>
std::optional<double> by_ocrbench(std::string_view text, const Question& question) {
  const bool formula = is_formula(question);
  const auto read = [&](std::string_view one) {
    if (formula) return formula_of(one);
    return line_of(narrow ? with_narrow_letters(one) : std::string(one));
  };
  const std::string said = read(text);
  return std::any_of(question.references.begin(), question.references.end(),
                     [&](const std::string& answer) { return holds_text(said, read(answer)); })
             ? 1
             : 0;
}

/// MM-Vet's answers: alternatives apart at "<OR>", parts that are all wanted apart at "<AND>". Its
/// judge, a language model, is told to give each part that is there its share; this counts the
/// parts whose very words are there.
std::optional<double> by_mm_vet(std::string_view text, const Question& question) {
  const std::string said = lower_and_single_spaced(text);
  std::vector<std::string> answers = question.references;
  // References may be alternatives already taken apart, which no longer say what is a part.
  if (holds_text(question.answer, "<OR>") || holds_text(question.answer, "<AND>"))
    answers = {question.answer};
  double best = 0;
  for (const std::string& answer : answers) {
    for (const std::string_view alternative : jinja::split(answer, "<OR>", /*most=*/-1)) {
      size_t parts = 0;
      size_t found = 0;
      for (const std::string_view part : jinja::split(alternative, "<AND>", /*most=*/-1)) {
        const std::string wanted = lower_and_single_spaced(part);
        if (wanted.empty()) continue;
        ++parts;
        found += holds_text(said, wanted) ? 1 : 0;
      }
      if (parts > 0) best = std::max(best, static_cast<double>(found) / static_cast<double>(parts));
    }
  }
  return best;
}

AnswerRule contains_rule(const char* name, const char* label, const char* definition,
                         std::optional<double> (*score)(std::string_view, const Question&),
                         bool right_or_wrong) {
  return {.name = name,
          .label = label,
          .mean = "accuracy",
          .definition = definition,
          .lacking = "",
          .score = score,
          .right_or_wrong = right_or_wrong};
}

}  // namespace

TextFamily contains_answer() {
  return family_of(
      {contains_rule("contains-answer", "OCRBench",
                     "type:contains|norm:narrow,lower,strip-lmms-eval-0.7.3", by_ocrbench<true>,
                     /*right_or_wrong=*/true),
       contains_rule("contains-answer-vlmeval", "OCRBench (VLMEvalKit)",
                     "type:contains|norm:lower,strip-vlmevalkit-0.0.20", by_ocrbench<false>,
                     /*right_or_wrong=*/true),
       contains_rule("contains-answer-mm-vet", "MM-Vet (words alone)",
                     "type:contains-parts|norm:lower,spaces|judge:none-1", by_mm_vet,
                     /*right_or_wrong=*/false)});
}

}  // namespace elastikv
