// "choice-lmms-eval" and its kin: the option that the text names is the right one.
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "metrics/choice_letters.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

using LetterOf = std::optional<char> (*)(std::string_view text, const Question& question);

AnswerRule choice_rule(const char* name, const char* label, const char* rule, LetterOf letter_of) {
  return {.name = name,
          .label = fmt::format("Multiple choice ({})", label),
          .mean = "accuracy",
          .definition = fmt::format("type:choice|rule:{}|none:wrong", rule),
          .lacking = "an answer that is one of the options",
          .score = [letter_of](std::string_view text, const Question& question) {
            return judged_letter(letter_of(text, question), question);
          }};
}

}  // namespace

TextFamily multiple_choice() {
  return family_of(
      {choice_rule("choice-lmms-eval", "lmms-eval", "lmms-eval-0.7.3", letter_by_lmms_eval),
       choice_rule("choice-mmmu", "MMMU", "mmmu-lmms-eval-0.7.3", letter_by_mmmu),
       choice_rule("choice-vlmeval", "VLMEvalKit", "vlmevalkit-0.0.20-exact", letter_by_vlmeval),
       choice_rule("choice-ai2d", "AI2D", "ai2d-lmms-eval-0.7.3", letter_by_ai2d),
       choice_rule("choice-scienceqa", "ScienceQA", "scienceqa-lmms-eval-0.7.3",
                   letter_by_scienceqa),
       choice_rule("choice-seed", "SEED-Bench", "seed-lmms-eval-0.7.3", letter_by_seed)});
}

}  // namespace elastikv
