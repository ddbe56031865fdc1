#pragma once

#include <string_view>

namespace elastikv {

/// What a text answers to a question of yes or no.
enum class YesNo { kYes, kNo, kOther };

// By published rules, of valid UTF-8.

/// lmms-eval's for POPE: the word alone, white space and case aside.
YesNo yes_no_by_pope(std::string_view text);
/// VLMEvalKit's: "yes" or "no" among the words and not both.
YesNo yes_no_by_vlmeval(std::string_view text);
/// lmms-eval's for MME: "yes" or else "no" in the first four characters, periods left out; "y" or
/// "n" alone.
YesNo yes_no_by_mme(std::string_view text);

/// A data set's own answer: the word, white space, case and periods aside.
YesNo expected_yes_no(std::string_view answer);

}  // namespace elastikv
