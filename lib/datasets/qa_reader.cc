#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "datasets/item_fields.h"
#include "datasets/readers.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// Puts one answer, or a list of accepted ones, into the sample.
void accept_answers(const Json& object, const char* key, Draft& draft, Problems& problems) {
  std::vector<std::string> answers;
  draft.lacks_answer = !read_answers(object, key, answers, draft, problems);
  if (draft.lacks_answer || answers.empty()) return;
  draft.sample.answer = answers.front();
  draft.sample.references =
      answers.size() > 1 ? std::move(answers) : alternatives_of(draft.sample.answer);
}

void read_pair(const Json& object, const char* question, const char* answer, Draft draft,
               const Reading& reading) {
  draft.sample.categories = categories_of(object);
  draft.lacks_question =
      !read_string(object, question, "", draft.sample.question, draft, reading.problems);
  if (reading.options.needs_answers || present_key(object, {answer}) != nullptr)
    accept_answers(object, answer, draft, reading.problems);
  reading.add(std::move(draft));
}

}  // namespace

void read_qa(const std::vector<Item>& items, const Reading& reading) {
  for (const Item& item : items) {
    const char* question = present_key(*item.value, {"question", "instruction"});
    const char* answer = present_key(*item.value, {"answer", "gpt_answer", "gpt4_ans", "output"});
    read_pair(*item.value, question == nullptr ? "question" : question,
              answer == nullptr ? "answer" : answer,
              begin_draft(item, {"id", "question_id"}, reading.text, reading.problems), reading);
  }
}

void read_mm_vet(const std::vector<Item>& entries, const Reading& reading) {
  for (const Item& entry : entries) {
    read_pair(*entry.value, "question", "answer",
              begin_draft(entry, {}, reading.text, reading.problems), reading);
  }
}

}  // namespace elastikv
