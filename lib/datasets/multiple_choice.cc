#include "datasets/multiple_choice.h"

#include <fmt/format.h>

#include "datasets/file_text.h"
#include "datasets/item_fields.h"

namespace elastikv {

std::string with_options(std::string_view hint, std::string question,
                         const std::vector<Option>& options) {
  if (is_blank(question)) return question;
  if (!is_blank(hint)) question = fmt::format("{}\n{}", hint, question);
  for (const Option& option : options)
    question += fmt::format("\n{}", listed_option(option.letter, option.text));
  if (!options.empty()) question += kOptionLine;
  return question;
}

std::string listed_option(char letter, std::string_view text) {
  return fmt::format("{}. {}", letter, text);
}

std::vector<std::string> texts_by_letter(const std::vector<Option>& options) {
  std::vector<std::string> texts;
  for (const Option& option : options) {
    texts.resize(static_cast<size_t>(option.letter - 'A') + 1);
    texts.back() = option.text;
  }
  return texts;
}

size_t context_length(std::string_view hint, std::string_view question) {
  return is_blank(hint) || is_blank(question) ? 0 : hint.size() + 1;
}

void choose(const Option& option, Draft& draft) {
  draft.sample.answer = listed_option(option.letter, option.text);
  draft.sample.references = {draft.sample.answer, std::string(1, option.letter), option.text};
}

std::string no_option(std::string_view answer, const std::vector<Option>& options) {
  std::string letters;
  for (const Option& option : options)
    letters += fmt::format("{}{}", letters.empty() ? "" : ", ", option.letter);
  return fmt::format("the answer '{}' is none of the options {}", shortened(answer), letters);
}

}  // namespace elastikv
