#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "datasets/item_fields.h"
#include "datasets/readers.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

void read_pair(const Json& object, const char* question, const char* answer, Draft draft,
               const Reading& reading) {
  draft.sample.categories = categories_of(object);
  draft.lacks_question =
      !read_string(object, question, "", draft.sample.question, draft, reading.problems);
  accept_answers(object, answer, reading.options.needs_answers, draft, reading.problems);
  reading.add(std::move(draft));
}

}  // namespace

void read_qa(const std::vector<Item>& items, const Reading& reading) {
  size_t unread = 0;
  std::string example;
  for (const Item& item : items) {
    const char* question = question_key(*item.value);
    const char* answer = answer_key(*item.value);
    read_pair(*item.value, question == nullptr ? "question" : question,
              answer == nullptr ? "answer" : answer,
              begin_draft(item, {"id", "question_id"}, reading.text, reading.problems), reading);
    const std::string key = unread_picture_key(*item.value);
    if (key.empty()) continue;
    if (++unread == 1) example = key;
  }
  if (unread == 0) return;
  reading.notes.push_back(
      fmt::format("{} of {} items {} asked as text alone: '{}' is not read; a picture is called "
                  "image, images, imagename, image_path, file_name or filename",
                  unread, items.size(), unread == 1 ? "is" : "are", shortened(example)));
}

void read_mm_vet(const std::vector<Item>& entries, const Reading& reading) {
  for (const Item& entry : entries) {
    read_pair(*entry.value, "question", "answer",
              begin_draft(entry, {}, reading.text, reading.problems), reading);
  }
}

}  // namespace elastikv
