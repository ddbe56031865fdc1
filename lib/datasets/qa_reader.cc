#include <algorithm>
#include <cstddef>
#include <memory>
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

bool is_pair(const Json& item) {
  return present_key(item, {"question", "instruction"}) != nullptr &&
         present_key(item, {"answer", "gpt_answer", "gpt4_ans", "output"}) != nullptr;
}

/// A pair by any of the names, or a question whose answer is missing or not needed.
bool is_asked(const Json& item) { return question_key(item) != nullptr; }

/// Whether an object's values are MM-Vet's entries. COCO's object is not theirs, whatever else it
/// holds.
bool has_mm_vet_entries(const Json& object) {
  return !is_coco(object) && std::any_of(object.begin(), object.end(), [](const Json& value) {
    return value.is_object() && value.contains("imagename");
  });
}

void read_pair(const Json& object, const char* question, const char* answer, Draft draft,
               const Reading& reading) {
  draft.sample.categories = categories_of(object);
  draft.lacks_question =
      !read_string(object, question, "", draft.sample.question, draft, reading.problems);
  accept_answers(object, answer, reading.options.needs_answers, draft, reading.problems);
  reading.add(std::move(draft));
}

void read_pairs(const std::vector<Item>& items, const Reading& reading) {
  size_t unread = 0;
  std::string example;
  for (const Item& item : items) {
    const char* question = question_key(*item.value);
    const char* answer = answer_key(*item.value);
    read_pair(*item.value, question == nullptr ? "question" : question,
              answer == nullptr ? "answer" : answer,
              begin_draft(item, {"id", "question_id"}, reading.text, reading.problems), reading);
    const std::string key = unread_image_key(*item.value);
    if (key.empty()) continue;
    if (++unread == 1) example = key;
  }
  if (unread == 0) return;
  reading.notes.push_back(
      fmt::format("{} of {} items {} asked as text alone: '{}' is not read; an image is called "
                  "image, images, imagename, image_path, file_name or filename",
                  unread, items.size(), unread == 1 ? "is" : "are", shortened(example)));
}

void read_mm_vet(const std::shared_ptr<const Json>& object, const Reading& reading) {
  std::vector<Item> entries = read_entries(reading.text.view(), object, reading.problems);
  for (const Item& entry : objects_among(std::move(entries), reading.problems)) {
    read_pair(*entry.value, "question", "answer",
              begin_draft(entry, {}, reading.text, reading.problems), reading);
  }
}

}  // namespace

/// {id, image, question, answer}. The id may also be called question_id, and is the item's index
/// when absent; the image may be called by any name of image_key, is a list where there are
/// several, may be the image itself in base64, and is absent for text alone; the question has one
/// of the names of question_key, the answer one of those of answer_key, and it may be a list.
extern const DataFormat kQaFormat{.name = "qa",
                                  .looks = "items with 'question' and 'answer'",
                                  .is_item = is_pair,
                                  .may_be_item = is_asked,
                                  .read_items = read_pairs};

/// MM-Vet's object of {imagename, question, answer, capability} by id.
extern const DataFormat kMmVetFormat{.name = "mm-vet",
                                     .looks = "an object of entries with 'imagename'",
                                     .is_object = has_mm_vet_entries,
                                     .read_object = read_mm_vet};

}  // namespace elastikv
