#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "datasets/item_fields.h"
#include "datasets/multiple_choice.h"
#include "datasets/readers.h"
#include "datasets/row_values.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr const char* kLetterLine =
    "\nAnswer with the option's letter from the given choices directly.";
constexpr const char* kWordLine = "\nAnswer the question using a single word or phrase.";

bool is_haystack(const Json& item) {
  return item.contains("images_list") && item.contains("meta") && item.contains("context");
}

/// The texts at a key that holds a list of them, or null.
std::vector<std::string> listed_at(const Json& object, const char* key, Draft& draft,
                                   Problems& problems) {
  if (!object.is_object() || !object.contains(key) || object[key].is_null()) return {};
  std::optional<std::vector<std::string>> texts =
      object[key].is_array() ? as_texts(object[key]) : std::nullopt;
  if (!texts) {
    problems.add(ProblemKind::kItem, draft, fmt::format("'{}' is no list of texts", key));
    return {};
  }
  return std::move(*texts);
}

/// The answer of a multiple choice is the place of an option from 0, that of a count a list.
void read_haystack_answer(const Json& item, const std::vector<std::string>& texts,
                          const std::vector<std::string>& images, Draft& draft,
                          const Reading& reading) {
  Problems& problems = reading.problems;
  const auto refuse = [&](const std::string& why) {
    draft.lacks_answer = true;
    if (reading.options.needs_answers) problems.add(ProblemKind::kItem, draft, why);
  };
  if (!item.contains("answer") || item["answer"].is_null()) return refuse("'answer' is missing");
  const Json& answer = item["answer"];
  const size_t options = std::max(texts.size(), images.size());
  if (options == 0) {
    if (!answer.is_array() && !as_text(answer))
      return refuse(fmt::format("'answer' is of type {}, a text or a list of numbers is needed",
                                answer.type_name()));
    draft.sample.answer = answer.is_array() ? answer.dump() : *as_text(answer);
    return;
  }
  if (!answer.is_number_unsigned() || answer.get<uint64_t>() >= options)
    return refuse(fmt::format("'answer' is {}, a place among {} choices from 0 is needed",
                              shortened(answer.dump()), options));
  const auto place = answer.get<size_t>();
  const auto letter = static_cast<char>('A' + static_cast<char>(place));
  if (!texts.empty()) return choose({letter, texts[place]}, draft);
  draft.sample.answer = std::string(1, letter);
}

void read_haystacks(const std::vector<Item>& items, const Reading& reading) {
  for (const Item& item : items) {
    const Json& row = *item.value;
    Problems& problems = reading.problems;
    Draft draft = begin_draft(item, {"id"}, reading.text, problems);
    std::string context;
    std::string question;
    draft.lacks_question = !read_string(row, "context", "", context, draft, problems) ||
                           !read_string(row, "question", "", question, draft, problems);
    const Json meta = row.contains("meta") ? row["meta"] : Json();
    std::vector<std::string> images = listed_at(row, "images_list", draft, problems);
    const std::vector<std::string> texts = listed_at(meta, "choices", draft, problems);
    const std::vector<std::string> shown =
        texts.empty() ? listed_at(meta, "choices_image_path", draft, problems)
                      : std::vector<std::string>();
    draft.sample.options = texts.empty() ? shown : texts;
    char letter = 'A';
    for (size_t i = 0; i < draft.sample.options.size(); ++i)
      question += fmt::format("\n{}. {}", letter++, texts.empty() ? "<image>" : texts[i]);
    question += draft.sample.options.empty() ? kWordLine : kLetterLine;
    images.insert(images.end(), shown.begin(), shown.end());
    for (std::string& image : images)
      draft.images.push_back(image_called(std::move(image), reading.text));
    draft.sample.context_length = context.size() + 1;
    draft.sample.question = fmt::format("{}\n{}", context, question);
    read_haystack_answer(row, texts, shown, draft, reading);
    reading.add(std::move(draft));
  }
}

}  // namespace

/// MM-NIAH's {id, images_list, context, question, answer, meta}: images stand where `context` and
/// `question` say `<image>`; meta.choices or meta.choices_image_path are the options of a multiple
/// choice. Questions end as the benchmark's own code ends them.
extern const DataFormat kMmNiahFormat{.name = "mm-niah",
                                      .looks = "items with 'images_list', 'context' and 'meta'",
                                      .is_item = is_haystack,
                                      .read_items = read_haystacks};

}  // namespace elastikv
