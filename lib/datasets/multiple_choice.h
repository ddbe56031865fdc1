#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/draft.h"

namespace elastikv {

/// One of the answers that a question lists.
struct Option {
  char letter;
  std::string text;
};

/// What asks for the option where nobody else does.
inline constexpr std::string_view kOptionLine = "\nAnswer with the option's letter and its text.";

/// The hint, the question and the options, each on lines of its own, with a line that asks for the
/// option; `hint` may be blank, and without options the question is as it stands.
std::string with_options(std::string_view hint, std::string question,
                         const std::vector<Option>& options);

/// An option as the question lists it: "B. a dog".
std::string listed_option(char letter, std::string_view text);

/// The texts as Sample::options holds them: A first, empty for a letter that is left out.
std::vector<std::string> texts_by_letter(const std::vector<Option>& options);

/// Bytes of what with_options gives that stand before the question: its context.
size_t context_length(std::string_view hint, std::string_view question);

/// Gives a draft the option that an answer is: its letter and text, as the question lists it. The
/// letter alone would be one token, which the uncompressed prompt predicts.
void choose(const Option& option, Draft& draft);

/// "'x' is none of the options A, B".
std::string no_option(std::string_view answer, const std::vector<Option>& options);

}  // namespace elastikv
