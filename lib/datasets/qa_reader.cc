#include <utility>

#include <nlohmann/json.hpp>

#include "datasets/item_fields.h"
#include "datasets/readers.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// Puts one answer, or a list of accepted ones, into the sample.
void read_answer(const Json& object, const char* key, Draft& draft, Problems& problems) {
  std::vector<std::string> answers;
  draft.lacks_answer = !read_strings(object, key, answers, draft, problems);
  if (draft.lacks_answer || answers.empty()) return;
  draft.sample.answer = answers.front();
  draft.sample.references =
      answers.size() > 1 ? std::move(answers) : alternatives_of(draft.sample.answer);
}

void read_pair(const Json& object, const char* question, const char* answer, Draft draft,
               const Reading& reading) {
  draft.sample.categories = categories_of(object);
  draft.lacks_question = !read_string(object, question == nullptr ? "question" : question, "",
                                      draft.sample.question, draft, reading.problems);
  if (answer != nullptr || reading.options.needs_answers) {
    read_answer(object, answer == nullptr ? "answer" : answer, draft, reading.problems);
  }
  reading.add(std::move(draft));
}

}  // namespace

void read_qa(const std::vector<Item>& items, const Reading& reading) {
  for (const Item& item : items) {
    read_pair(*item.value, present_key(*item.value, {"question", "instruction"}),
              present_key(*item.value, {"answer", "gpt_answer", "gpt4_ans", "output"}),
              begin_draft(item, {"id", "question_id"}, reading.text, reading.problems), reading);
  }
}

void read_mm_vet(const std::vector<Item>& entries, const Reading& reading) {
  for (const Item& entry : entries) {
    Draft draft = begin_draft(entry, {}, reading.text, reading.problems);
    draft.sample.id = entry.key;
    draft.where = entry.where;
    read_pair(*entry.value, "question", present_key(*entry.value, {"answer"}), std::move(draft),
              reading);
  }
}

}  // namespace elastikv
