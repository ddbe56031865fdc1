#include "datasets/item_fields.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kPlaceholder = "<image>";

bool has_value(const Json& object, const char* key) {
  const auto entry = object.find(key);
  return entry != object.end() && !entry->is_null();
}

/// The images that an item names: one, or a list.
void read_images(const Json& object, FileText& text, Draft& draft, Problems& problems) {
  const char* key = image_key(object);
  if (key == nullptr) return;
  const Json& value = object[key];
  for (const Json& name : value.is_array() ? value : Json::array({value})) {
    if (!name.is_string()) {
      problems.add(ProblemKind::kItem, draft,
                   fmt::format("'{}' {} of type {}, a string is needed", key,
                               value.is_array() ? "holds an entry" : "is", name.type_name()));
      draft.images.clear();
      draft.lacks_images = true;
      return;
    }
    auto image = name.get<std::string>();
    if (image.empty()) {
      problems.add(ProblemKind::kItem, draft, fmt::format("'{}' is empty", key));
      draft.lacks_images = true;
    } else {
      draft.images.push_back(image_called(std::move(image), text));
    }
  }
}

}  // namespace

std::vector<std::string> pieces_of(std::string_view text, std::string_view separator) {
  std::vector<std::string> pieces;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(separator, start), text.size());
    std::string_view piece = text.substr(start, end - start);
    start = end + separator.size();
    if (is_blank(piece)) continue;
    piece.remove_prefix(piece.find_first_not_of(" \t\r\n"));
    piece = piece.substr(0, piece.find_last_not_of(" \t\r\n") + 1);
    pieces.emplace_back(piece);
  }
  return pieces;
}

ImageSource image_called(std::string name, FileText& text) {
  // Names of files have an extension and base64 has no dot; VLMEvalKit draws the line at the same
  // length.
  constexpr size_t kLongestName = 64;
  const bool embedded = name.starts_with("data:image/") ||
                        (name.size() > kLongestName && name.find('.') == std::string::npos);
  if (embedded) return {{}, text.keep(std::move(name))};
  return {{std::move(name)}, {}};
}

const char* present_key(const Json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (has_value(object, key)) return key;
  }
  return nullptr;
}

bool is_coco(const Json& object) {
  return object.contains("images") && object["images"].is_array() &&
         object.contains("annotations") && object["annotations"].is_array();
}

const char* image_key(const Json& object) {
  return present_key(object,
                     {"images", "image", "imagename", "image_path", "file_name", "filename"});
}

const char* question_key(const Json& object) {
  return present_key(object, {"question", "instruction", "query", "prompt"});
}

const char* answer_key(const Json& object) {
  // ElastiKV's own and LLaVA's first; then those of benchmarks, where `label` may also be a class.
  return present_key(object,
                     {"answer", "gpt_answer", "gpt4_ans", "output", "answers", "gt_answer_details",
                      "gt_answer", "ground_truth", "gt", "answer_text", "label"});
}

namespace {

bool speaks_of_image(const std::string& key) {
  std::string name = key.substr(0, std::string_view("picture").size());
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.starts_with("image") || name.starts_with("img") || name.starts_with("picture");
}

}  // namespace

std::string unread_image_key(const Json& object) {
  if (image_key(object) != nullptr) return "";
  for (const auto& [key, value] : object.items()) {
    if (speaks_of_image(key) && (value.is_string() || value.is_number())) return key;
  }
  return "";
}

bool is_read_of_items(const std::string& key) {
  static const std::unordered_set<std::string_view> keys{"id",
                                                         "question_id",
                                                         "image_id",
                                                         "file_name",
                                                         "filename",
                                                         "question",
                                                         "instruction",
                                                         "query",
                                                         "prompt",
                                                         "text",
                                                         "answer",
                                                         "gpt_answer",
                                                         "gpt4_ans",
                                                         "output",
                                                         "answers",
                                                         "gt_answer",
                                                         "label",
                                                         "gt",
                                                         "gt_answer_details",
                                                         "ground_truth",
                                                         "answer_text",
                                                         "choices",
                                                         "options",
                                                         "conversations",
                                                         "questions",
                                                         "context",
                                                         "caption",
                                                         "captions",
                                                         "sentences",
                                                         "l2-category",
                                                         "category",
                                                         "type",
                                                         "capability"};
  return keys.contains(key) || speaks_of_image(key);
}

std::string id_text(const Json& value, const char* key, const std::string& where,
                    Problems& problems) {
  if (value.is_number_integer()) return value.dump();
  if (value.is_string() && !is_blank(value.get_ref<const std::string&>()))
    return value.get<std::string>();
  problems.add(ProblemKind::kId, fmt::format("{}: '{}' is {}, a string or an integer is needed",
                                             where, key, shortened(value.dump())));
  return "";
}

Draft begin_draft(const Item& item, std::initializer_list<const char*> id_keys, FileText& text,
                  Problems& problems) {
  Draft draft;
  draft.sample.index = item.index;
  if (item.key.empty()) {
    const char* key = present_key(*item.value, id_keys);
    draft.sample.id = key == nullptr ? std::to_string(item.index)
                                     : id_text((*item.value)[key], key, item.where, problems);
    draft.where = fmt::format("{} ('{}')", item.where, draft.sample.id);
  } else {
    draft.sample.id = item.key;
    draft.where = item.where;
  }
  if (item.images.empty()) {
    read_images(*item.value, text, draft, problems);
  } else {
    draft.images = item.images;
  }
  return draft;
}

bool read_string(const Json& object, const char* key, const std::string& prefix, std::string& value,
                 Draft& draft, Problems& problems) {
  if (!has_value(object, key)) {
    problems.add(ProblemKind::kItem, draft, fmt::format("{}'{}' is missing", prefix, key));
    return false;
  }
  if (!object[key].is_string()) {
    problems.add(ProblemKind::kItem, draft,
                 fmt::format("{}'{}' is of type {}, a string is needed", prefix, key,
                             object[key].type_name()));
    return false;
  }
  value = object[key].get<std::string>();
  return true;
}

bool read_answer(const Json& object, const char* key, const std::string& prefix, std::string& value,
                 Draft& draft, Problems& problems) {
  if (!has_value(object, key) || !object[key].is_number())
    return read_string(object, key, prefix, value, draft, problems);
  value = object[key].dump();
  return true;
}

bool read_answers(const Json& object, const char* key, std::vector<std::string>& values,
                  Draft& draft, Problems& problems) {
  if (!has_value(object, key) || !object[key].is_array()) {
    values.emplace_back();
    return read_answer(object, key, "", values.back(), draft, problems);
  }
  for (const Json& entry : object[key]) {
    const Json& value = entry.is_object() && has_value(entry, "answer") ? entry["answer"] : entry;
    if (!value.is_string() && !value.is_number()) {
      problems.add(ProblemKind::kItem, draft,
                   fmt::format("'{}' holds an entry of type {}, a string is needed", key,
                               value.type_name()));
      return false;
    }
    values.push_back(value.is_string() ? value.get<std::string>() : value.dump());
  }
  return true;
}

namespace {

bool is_place(const Json& value, const Json& choices) {
  if (value.is_number_integer()) return true;
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return digits && std::none_of(choices.begin(), choices.end(), [&](const Json& choice) {
           return choice == value || choice.dump() == text;
         });
}

/// Why an answer is no text though it looks like one; empty: it is one.
std::string why_no_text(const Json& object, const char* key) {
  const Json& value = object[key];
  const char* choices = present_key(object, {"choices", "options"});
  if (choices != nullptr && object[choices].is_array() && is_place(value, object[choices])) {
    return fmt::format(
        "'{}' is {}, a place among its '{}' and no text; write the chosen text, or make it a table "
        "with the options in columns A, B, ...",
        key, value.dump(), choices);
  }
  if (std::string_view(key) == "label" && value.is_number())
    return fmt::format("'label' is {}, the number of a class and no text", value.dump());
  return "";
}

/// The texts of a multiple choice; none where the item has no list of them.
std::vector<std::string> options_of(const Json& object) {
  const char* key = present_key(object, {"choices", "options"});
  if (key == nullptr || !object[key].is_array()) return {};
  std::vector<std::string> options;
  for (const Json& option : object[key])
    options.push_back(option.is_string() ? option.get<std::string>() : option.dump());
  return options;
}

/// The most frequent first, the earliest of equals; each once, the others in their order.
std::vector<std::string> by_votes(const std::vector<std::string>& answers) {
  std::vector<std::string> distinct = each_once(answers);
  if (distinct.empty()) return distinct;
  const auto most = std::find(distinct.begin(), distinct.end(), most_frequent(answers));
  std::rotate(distinct.begin(), most, most + 1);
  return distinct;
}

}  // namespace

std::vector<std::string> each_once(const std::vector<std::string>& texts) {
  std::vector<std::string> distinct;
  std::unordered_set<std::string_view> seen;
  for (const std::string& text : texts) {
    if (seen.insert(text).second) distinct.push_back(text);
  }
  return distinct;
}

const std::string& most_frequent(const std::vector<std::string>& texts) {
  std::unordered_map<std::string_view, size_t> votes;
  for (const std::string& text : texts) ++votes[text];
  return *std::max_element(
      texts.begin(), texts.end(),
      [&](const std::string& a, const std::string& b) { return votes[a] < votes[b]; });
}

void accept_answers(const Json& object, const char* key, bool needed, Draft& draft,
                    Problems& problems) {
  // What is wrong with an answer that nothing needs is nobody's problem.
  Problems ignored(problems.file());
  Draft nobody;
  Problems& noted = needed ? problems : ignored;
  Draft& marked = needed ? draft : nobody;
  std::vector<std::string> answers;
  const std::string why = has_value(object, key) ? why_no_text(object, key) : "";
  if (!why.empty()) noted.add(ProblemKind::kItem, marked, why);
  marked.lacks_answer = !why.empty() || !read_answers(object, key, answers, marked, noted);
  draft.sample.options = options_of(object);
  if (marked.lacks_answer) return;
  if (std::string_view(key) == "answers") {
    draft.sample.votes = answers;
    answers = by_votes(answers);
  }
  if (answers.empty()) return;
  draft.sample.answer = answers.front();
  draft.sample.references =
      answers.size() > 1 ? std::move(answers) : alternatives_of(draft.sample.answer);
}

std::vector<std::string> categories_of(const Json& object) {
  std::vector<std::string> categories;
  const auto add = [&](const Json& value) {
    if (value.is_string() && !is_blank(value.get_ref<const std::string&>()))
      categories.push_back(value.get<std::string>());
  };
  for (const char* key : {"category", "l2-category", "type", "capability"}) {
    if (!has_value(object, key)) continue;
    const Json& value = object[key];
    if (value.is_array()) {
      for (const Json& entry : value) add(entry);
    } else if (std::string_view(key) == "capability" && value.is_string()) {
      // As the Parquet mirrors of MM-Vet write the list.
      for (const std::string& entry : pieces_of(value.get_ref<const std::string&>(), ","))
        add(entry);
    } else {
      add(value);
    }
  }
  return categories;
}

size_t places_in(std::string_view question) {
  size_t count = 0;
  for (size_t at = question.find(kPlaceholder); at != std::string_view::npos;
       at = question.find(kPlaceholder, at + 1)) {
    ++count;
  }
  return count;
}

void check_texts(Draft& draft, bool needs_answer, Problems& problems) {
  const std::string& question = draft.sample.question;
  const auto require_visible = [&](const std::string& text, const char* name) {
    if (!shows_nothing(text)) return;
    problems.add(ProblemKind::kEmptyText, draft,
                 is_blank(text) ? fmt::format("the {} is empty", name)
                                : fmt::format("the {} holds only invisible characters", name));
  };
  if (needs_answer && !draft.lacks_answer) require_visible(draft.sample.answer, "answer");
  if (draft.lacks_question) return;
  const size_t places = places_in(question);
  const size_t earlier = draft.sample.earlier_images();
  const size_t images = draft.images.size() - std::min(earlier, draft.images.size());
  if (places == 0) {
    require_visible(question, "question");
  } else if (draft.lacks_images) {
    return;
  } else if (images == 0) {
    problems.add(ProblemKind::kPlaces, draft,
                 "the question has <image>, but the item names no image");
  } else if (places != images) {
    problems.add(ProblemKind::kPlaces, draft,
                 fmt::format("the question has <image> {} times, the item names {} image{}", places,
                             images, images == 1 ? "" : "s"));
  }
}

std::vector<std::string> alternatives_of(const std::string& answer) {
  if (answer.find("<OR>") == std::string::npos && answer.find("<AND>") == std::string::npos)
    return {};
  std::vector<std::string> alternatives;
  for (const std::string& alternative : pieces_of(answer, "<OR>")) {
    std::string text = listed(pieces_of(alternative, "<AND>"));
    if (!text.empty()) alternatives.push_back(std::move(text));
  }
  return alternatives;
}

std::string shortened(std::string_view text) {
  constexpr size_t kLongest = 120;
  constexpr size_t kShown = 40;
  if (text.size() <= kLongest) return std::string(text);
  size_t shown = kShown;
  // Not inside a character.
  while (shown > 0 && (static_cast<unsigned char>(text[shown]) & 0xC0) == 0x80) --shown;
  return fmt::format("{}... ({} bytes)", text.substr(0, shown), text.size());
}

}  // namespace elastikv
