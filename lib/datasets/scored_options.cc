#include "datasets/scored_options.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include <fmt/format.h>

#include "base/error.h"
#include "datasets/multiple_choice.h"

namespace elastikv {
namespace {

std::string scored_text_of(char letter, const std::string& text, OptionText option_text) {
  switch (option_text) {
    case OptionText::kLetterAndText:
      return listed_option(letter, text);
    case OptionText::kLetter:
      return {letter};
    case OptionText::kText:
      return text;
  }
  throw InternalError("an option without a text");
}

/// Why there is nothing to choose among; empty: there is.
std::string why_no_choice(const std::vector<std::string>& options) {
  if (options.empty()) return "the question has no options, whose likelihoods are to answer it";
  // Readers drop what is empty behind the last option: tables have columns for the longest list.
  const auto empty = std::find(options.begin(), options.end(), "");
  if (empty != options.end()) {
    return fmt::format("option {} is empty",
                       static_cast<char>('A' + static_cast<char>(empty - options.begin())));
  }
  if (options.size() == 1) return "the question has one option: there is nothing to choose";
  return "";
}

}  // namespace

std::string_view answer_by_name(AnswerBy answer_by) {
  return answer_by == AnswerBy::kText ? "text" : "likelihood";
}

std::string_view option_text_name(OptionText option_text) {
  switch (option_text) {
    case OptionText::kLetterAndText:
      return "letter-and-text";
    case OptionText::kLetter:
      return "letter";
    case OptionText::kText:
      return "text";
  }
  throw InternalError("a text of options without a name");
}

std::string_view option_line(OptionText option_text) {
  switch (option_text) {
    case OptionText::kLetterAndText:
      return kOptionLine;
    case OptionText::kLetter:
      return "\nAnswer with the option's letter.";
    case OptionText::kText:
      return "\nAnswer with the option's text.";
  }
  throw InternalError("a text of options without a line");
}

void set_scored_options(std::vector<Draft>& drafts, const DataOptions& options,
                        Problems& problems) {
  if (!options.by_likelihood()) return;
  if (std::all_of(drafts.begin(), drafts.end(),
                  [](const Draft& draft) { return draft.sample.options.empty(); })) {
    fail(
        "{}: answer_by is likelihood, which scores the options of a question, and none of the "
        "questions has any; columns.options names where they stand",
        problems.file());
  }
  for (Draft& draft : drafts) {
    const std::vector<std::string>& texts = draft.sample.options;
    if (const std::string problem = why_no_choice(texts); !problem.empty()) {
      problems.add(ProblemKind::kOptions, draft, problem);
      continue;
    }
    for (size_t i = 0; i < texts.size(); ++i) {
      const char letter = static_cast<char>('A' + static_cast<char>(i));
      draft.sample.scored_options.push_back(
          {letter, scored_text_of(letter, texts[i], options.scored_text())});
    }
  }
}

}  // namespace elastikv
