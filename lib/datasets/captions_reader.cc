#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "datasets/item_fields.h"
#include "datasets/readers.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// Asks for the caption, takes the first one as the answer and all as references.
void finish(Draft draft, std::vector<std::string> captions, const Reading& reading) {
  draft.sample.question = reading.options.prompt.empty() ? kCaptionPrompt : reading.options.prompt;
  if (!captions.empty()) draft.sample.answer = captions.front();
  if (captions.size() > 1) draft.sample.references = std::move(captions);
  reading.add(std::move(draft));
}

/// The names that COCO gives the image of a number.
std::vector<std::string> coco_names(const Json& id) {
  if (id.is_string()) return {id.get<std::string>()};
  if (!id.is_number_unsigned()) return {id.dump()};
  const std::string number = fmt::format("{:012d}.jpg", id.get<uint64_t>());
  return {number, "COCO_val2014_" + number, "COCO_train2014_" + number, "COCO_test2014_" + number};
}

bool is_captioned(const Json& item) {
  return (image_key(item) != nullptr || item.contains("image_id")) &&
         present_key(item, {"captions", "caption", "sentences"}) != nullptr;
}

/// Rows of an image and its captions.
void read_caption_rows(const std::vector<Item>& items, const Reading& reading) {
  std::vector<std::pair<Draft, std::vector<std::string>>> images;
  std::unordered_map<std::string, size_t> by_id;  // images that rows name by image_id
  for (const Item& item : items) {
    const Json& row = *item.value;
    Draft draft =
        begin_draft(item, {"image_id", "id", "question_id"}, reading.text, reading.problems);
    const bool by_image = present_key(row, {"image_id"}) != nullptr && !draft.sample.id.empty();
    if (by_image && draft.images.empty() && !draft.lacks_images)
      draft.images.push_back({coco_names(row["image_id"]), {}});
    if (draft.images.empty() && !draft.lacks_images)
      reading.problems.add(ProblemKind::kItem, draft, "'image' is missing");
    const char* key = present_key(row, {"captions", "caption", "sentences"});
    std::vector<std::string> captions;
    if (key != nullptr || reading.options.needs_answers) {
      draft.lacks_answer =
          !read_answers(row, key == nullptr ? "caption" : key, captions, draft, reading.problems);
    }
    draft.sample.categories = categories_of(row);
    const auto [entry, is_new] = by_image ? by_id.try_emplace(draft.sample.id, images.size())
                                          : std::make_pair(by_id.end(), true);
    if (is_new) {
      images.emplace_back(std::move(draft), std::move(captions));
      continue;
    }
    auto& [known, all] = images[entry->second];
    if (known.sample.problem.empty()) known.sample.problem = draft.sample.problem;
    known.lacks_answer = known.lacks_answer || draft.lacks_answer;
    all.insert(all.end(), captions.begin(), captions.end());
  }
  for (auto& [draft, captions] : images) finish(std::move(draft), std::move(captions), reading);
}

/// The object of COCO's annotation files.
void read_coco(const std::shared_ptr<const Json>& file, const Reading& reading) {
  const Json& object = *file;
  Problems& problems = reading.problems;
  std::vector<std::pair<Draft, std::vector<std::string>>> images;
  std::unordered_map<std::string, size_t> by_id;
  for (const Json& image : object["images"]) {
    const auto index = static_cast<int64_t>(images.size());
    const std::string where = fmt::format("images[{}]", index);
    Draft draft;
    draft.sample.index = index;
    draft.where = where;
    if (!image.is_object() || present_key(image, {"id"}) == nullptr) {
      problems.add(ProblemKind::kItem, where + ": an object with 'id' is needed");
      draft.lacks_answer = true;
    } else {
      draft.sample.id = id_text(image["id"], "id", where, problems);
      draft.where = fmt::format("{} ('{}')", where, draft.sample.id);
      std::string name;
      draft.lacks_images = !read_string(image, "file_name", "", name, draft, problems);
      if (!draft.lacks_images) draft.images.push_back({{std::move(name)}, {}});
      if (!draft.sample.id.empty() && !by_id.try_emplace(draft.sample.id, images.size()).second) {
        // Its captions would be those of the first image: there is nothing to number.
        draft.lacks_answer = true;
        problems.add(ProblemKind::kRepeatedId,
                     draft.where + ": the id is used before, and captions name their image by it");
        draft.sample.id.clear();  // said
      }
    }
    images.emplace_back(std::move(draft), std::vector<std::string>());
  }
  size_t index = 0;
  for (const Json& annotation : object["annotations"]) {
    const std::string where = fmt::format("annotations[{}]", index++);
    if (!annotation.is_object() || present_key(annotation, {"image_id"}) == nullptr) {
      problems.add(ProblemKind::kItem, where + ": an object with 'image_id' is needed");
      continue;
    }
    const std::string id = id_text(annotation["image_id"], "image_id", where, problems);
    if (id.empty()) continue;
    const auto entry = by_id.find(id);
    if (entry == by_id.end()) {
      problems.add(ProblemKind::kReference,
                   fmt::format("{}: image_id {} is not among the images", where, id));
      continue;
    }
    auto& [draft, captions] = images[entry->second];
    std::string caption;
    if (!read_string(annotation, "caption", where + ": ", caption, draft, problems))
      draft.lacks_answer = true;
    else
      captions.push_back(std::move(caption));
  }
  for (auto& [draft, captions] : images) {
    if (captions.empty() && !draft.lacks_answer && reading.options.needs_answers) {
      problems.add(ProblemKind::kEmptyText, draft, "the image has no caption");
      draft.lacks_answer = true;
    }
    finish(std::move(draft), std::move(captions), reading);
  }
}

}  // namespace

/// COCO's object of images and annotations, or rows of {image, caption} or {image_id, caption}; all
/// captions of an image are one sample.
extern const DataFormat kCocoCaptionsFormat{
    .name = "coco-captions",
    .looks = "an object with 'images' and 'annotations', or items with 'image' and 'caption'",
    .is_object = is_coco,
    .read_object = read_coco,
    .is_item = is_captioned,
    .read_items = read_caption_rows,
    .takes_prompt = true};

}  // namespace elastikv
