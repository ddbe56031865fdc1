// "exact-match" and its kin: the text is one of the accepted answers, as each rule reads texts.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "jinja/characters.h"
#include "metrics/choice_letters.h"
#include "metrics/python_strings.h"
#include "metrics/text_families.h"
#include "metrics/vqa_answer.h"

namespace elastikv {
namespace {

std::string by_lmms_eval(std::string_view text) { return without_punctuation(jinja::lower(text)); }

std::string by_vqa(std::string_view text) { return vqa_answer(text, VqaRules::kEvalAi); }

std::string by_vlmeval(std::string_view text) { return jinja::lower(jinja::strip(text)); }

/// Of an answer that is no letter: only the text loses its periods.
bool matches_realworldqa(std::string_view text, std::string_view answer) {
  std::string said = jinja::lower(text);
  said = jinja::strip(said);
  while (said.ends_with('.')) said.pop_back();
  return said == jinja::lower(jinja::strip(answer));
}

/// RealWorldQA's two kinds of questions, by their answers: a letter of four options that stand in
/// the question alone, or any other text.
bool answers_realworldqa(std::string_view text, std::string_view answer) {
  const Question lettered{.answer = std::string(answer)};
  if (const std::optional<char> letter = right_letter(lettered))
    return letter_by_lmms_eval(text, lettered) == letter;
  return matches_realworldqa(text, answer);
}

template <std::string (*read)(std::string_view)>
bool matches(std::string_view text, std::string_view answer) {
  return read(text) == read(answer);
}

AnswerRule match_rule(const char* name, const char* label, const char* definition,
                      bool (*is_match)(std::string_view text, std::string_view answer)) {
  return {.name = name,
          .label = label,
          .mean = "accuracy",
          .definition = definition,
          .lacking = "",
          .score = [is_match](std::string_view text,
                              const Question& question) -> std::optional<double> {
            return std::any_of(question.references.begin(), question.references.end(),
                               [&](const std::string& answer) { return is_match(text, answer); })
                       ? 1
                       : 0;
          }};
}

}  // namespace

TextFamily exact_match() {
  return family_of(
      {match_rule("exact-match", "Exact match", "type:exact|norm:lower,punctuation-lmms-eval-0.7.3",
                  matches<by_lmms_eval>),
       match_rule("exact-match-vqa", "Exact match (VQA)", "type:exact|norm:evalai-lmms-eval-0.7.3",
                  matches<by_vqa>),
       match_rule("exact-match-vlmeval", "Exact match (VLMEvalKit)",
                  "type:exact|norm:strip,lower-vlmevalkit-0.0.20", matches<by_vlmeval>),
       match_rule("exact-match-realworldqa", "Exact match (RealWorldQA)",
                  "type:exact|norm:strip,lower,period-lmms-eval-0.7.3", matches_realworldqa),
       match_rule("accuracy-realworldqa", "RealWorldQA accuracy",
                  "type:choice-or-exact|rule:realworldqa-lmms-eval-0.7.3|none:wrong",
                  answers_realworldqa)});
}

}  // namespace elastikv
