#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "metrics/question.h"

namespace elastikv {

// Which option of a multiple choice a text (valid UTF-8) names, by published rules: its letter, A
// for the first, or nothing. Of a question whose options are not known, as where they stand in its
// words alone, the letters A to D are offered without texts.

/// The letters that may be chosen: those of the options that are not empty.
std::string offered_letters(const Question& question);
/// The letter of the right option: an accepted answer that is an offered letter in either case, or
/// an option's text, or "A. text" as the question lists it; nothing where there is none.
std::optional<char> right_letter(const Question& question);

/// 1 where a letter is that of the right option, else 0; nothing where no option is right.
std::optional<double> judged_letter(std::optional<char> letter, const Question& question);

/// lmms-eval's shared rule (MMStar, RealWorldQA): letters in several forms, each with a rank; of
/// the form of the highest rank the last one.
std::optional<char> letter_by_lmms_eval(std::string_view text, const Question& question);
/// MMMU's, which lmms-eval has too: "(A)", "A " and "A." in this order, then the options' texts; of
/// several the last one. Where it finds nothing it draws a letter; here that is nothing.
std::optional<char> letter_by_mmmu(std::string_view text, const Question& question);
/// VLMEvalKit's without a judge: a letter that stands alone and is the only one, then the only
/// option whose text is in the answer.
std::optional<char> letter_by_vlmeval(std::string_view text, const Question& question);
/// lmms-eval's for AI2D: "A." at the beginning, or the letter alone beside punctuation.
std::optional<char> letter_by_ai2d(std::string_view text, const Question& question);
/// LLaVA's, which lmms-eval has for ScienceQA: the letter alone, or a capital and a period.
std::optional<char> letter_by_scienceqa(std::string_view text, const Question& question);
/// lmms-eval's for SEED-Bench: the first character.
std::optional<char> letter_by_seed(std::string_view text, const Question& question);

}  // namespace elastikv
