#include "datasets/formats.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "datasets/item_fields.h"
#include "datasets/tsv_table.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

/// A format whose items are recognised by their keys.
struct ItemFormat {
  const char* name;
  bool (*has_keys)(const Json& item);
};

bool is_conversation(const Json& item) { return item.contains("conversations"); }
bool is_pair(const Json& item) {
  return present_key(item, {"question", "instruction"}) != nullptr &&
         present_key(item, {"answer", "gpt_answer", "gpt4_ans", "output"}) != nullptr;
}
/// A pair by any of the names, or a question whose answer is missing or not needed. Only what no
/// format knows by is_pair and its neighbours is looked at in this way, so that the names that were
/// added later take no file from another format.
bool is_asked(const Json& item) { return question_key(item) != nullptr; }
bool is_question(const Json& item) {
  return item.contains("text") && (item.contains("question_id") || picture_key(item) != nullptr);
}
bool is_captioned(const Json& item) {
  return (picture_key(item) != nullptr || item.contains("image_id")) &&
         present_key(item, {"captions", "caption", "sentences"}) != nullptr;
}

constexpr std::array<ItemFormat, 4> kItemFormats{{{"llava", is_conversation},
                                                  {"qa", is_pair},
                                                  {"llava-questions", is_question},
                                                  {"coco-captions", is_captioned}}};

bool is_coco(const Json& object) {
  return object.contains("images") && object["images"].is_array() &&
         object.contains("annotations") && object["annotations"].is_array();
}

/// Whether an object's values are MM-Vet's entries.
bool is_mm_vet(const Json& object) {
  return std::any_of(object.begin(), object.end(), [](const Json& value) {
    return value.is_object() && value.contains("imagename");
  });
}

bool is_table(FileText& text) {
  const std::vector<std::string_view> header = tsv_header(text);
  const auto has = [&](std::string_view name) {
    return std::find(header.begin(), header.end(), name) != header.end();
  };
  return has("index") && (has("image") || has("image_path") || has("question"));
}

/// "the first item has the keys a, b", by the kind of thing that has them.
std::string keys_of(std::string_view what, const Json& object) {
  constexpr size_t kKeysShown = 8;
  std::string keys;
  size_t count = 0;
  for (const auto& entry : object.items()) {
    if (++count > kKeysShown) {
      keys += ", ...";
      break;
    }
    keys += (keys.empty() ? "" : ", ") + shortened(entry.key());
  }
  return fmt::format("{} has the keys {}", what, keys);
}

[[noreturn]] void fail_format(const std::string& file, std::string_view found) {
  fail(
      "{}: unknown data format: tried llava (items with 'conversations'), qa (items with "
      "'question' and 'answer'), llava-questions (items with 'question_id' and 'text'), "
      "coco-captions (an object with 'images' and 'annotations', or items with 'image' and "
      "'caption'), mm-vet (an object of entries with 'imagename'), vlmevalkit-tsv (a header with "
      "'index' and 'image' or 'question') and text (a .txt file); {}",
      file, found);
}

/// The format that most items have the keys of; the earlier one of several.
std::string recognise_items(const std::string& file, const std::vector<Item>& items) {
  std::array<size_t, kItemFormats.size()> counts{};
  const Item* first = nullptr;
  for (const Item& item : items) {
    if (!item.value->is_object()) continue;
    if (first == nullptr) first = &item;
    for (size_t i = 0; i < kItemFormats.size(); ++i)
      counts[i] += kItemFormats[i].has_keys(*item.value) ? 1 : 0;
  }
  if (first == nullptr) {
    fail_format(file,
                fmt::format("the first item is of type {}", items.front().value->type_name()));
  }
  const auto most = std::max_element(counts.begin(), counts.end());
  if (*most == 0) {
    const bool asked = std::any_of(items.begin(), items.end(), [](const Item& item) {
      return item.value->is_object() && is_asked(*item.value);
    });
    if (asked) return "qa";
    fail_format(file, keys_of("the first item", *first->value));
  }
  return kItemFormats[static_cast<size_t>(most - counts.begin())].name;
}

/// LLaVA-Bench's own answers lie beside its questions.
fs::path bench_answers(const fs::path& questions) {
  return questions.parent_path() / "answers_gpt4.jsonl";
}

/// Questions in a folder as LLaVA-Bench is published.
bool is_bench(const fs::path& questions) {
  return fs::exists(bench_answers(questions)) ||
         fs::exists(questions.parent_path() / "context.jsonl");
}

std::string recognise(const Reading& reading, const JsonFile& json) {
  const std::string& file = reading.problems.file();
  if (json.object && is_coco(*json.object)) return "coco-captions";
  if (json.object && is_mm_vet(*json.object)) return "mm-vet";
  std::string format;
  if (json.object) {
    // One item alone is an object too.
    const auto known = std::find_if(kItemFormats.begin(), kItemFormats.end(),
                                    [&](const ItemFormat& f) { return f.has_keys(*json.object); });
    if (known == kItemFormats.end() && !is_asked(*json.object))
      fail_format(file, keys_of("the file is one JSON object, which", *json.object));
    format = known == kItemFormats.end() ? "qa" : known->name;
  } else {
    format = recognise_items(file, json.items);
  }
  return format == "llava-questions" && is_bench(reading.options.path) ? "llava-bench" : format;
}

/// The file with the answers of questions: the one that the options name, or that lies beside
/// LLaVA-Bench's; none where the questions have answers themselves or need none.
fs::path answers_of(const Reading& reading, const std::vector<Item>& items,
                    const std::string& format) {
  const DataOptions& options = reading.options;
  if (!options.answers.empty()) return options.answers;
  fs::path beside = bench_answers(options.path);
  if (format == "llava-bench" && fs::exists(beside)) return beside;
  const bool own = std::any_of(items.begin(), items.end(),
                               [](const Item& item) { return answer_key(*item.value) != nullptr; });
  if (options.needs_answers && !own) {
    fail(
        "{}: questions without answers ({}): perplexity needs 'answers', a file of JSON lines with "
        "question_id and text such as LLaVA's answers_gpt4.jsonl",
        reading.problems.file(), format);
  }
  return {};
}

/// Keeps the items that are objects and notes the others.
std::vector<Item> objects_among(std::vector<Item> items, Problems& problems) {
  std::erase_if(items, [&](const Item& item) {
    if (item.value->is_object()) return false;
    problems.add(ProblemKind::kItem, fmt::format("{}: is of type {}, an object is needed",
                                                 item.where, item.value->type_name()));
    return true;
  });
  return items;
}

std::string read_json_samples(const Reading& reading) {
  const DataOptions& options = reading.options;
  const std::string& file = reading.problems.file();
  JsonFile json = read_json(reading.text.view(), reading.problems);
  std::string format = options.format == "auto" ? recognise(reading, json) : options.format;
  if (format == "mm-vet") {
    if (!json.object) fail("{}: mm-vet is one JSON object, this file holds items", file);
    std::vector<Item> entries = read_entries(reading.text.view(), json.object, reading.problems);
    read_mm_vet(objects_among(std::move(entries), reading.problems), reading);
    return format;
  }
  if (format == "coco-captions" && json.object && is_coco(*json.object)) {
    read_coco(*json.object, reading);
    return format;
  }
  if (json.object && (is_coco(*json.object) || is_mm_vet(*json.object))) {
    fail("{}: is {} by its content, not {}; leave 'format' out", file,
         is_coco(*json.object) ? "coco-captions" : "mm-vet", format);
  }
  if (json.object) json.items.push_back({json.object, 0, "line 1", ""});
  const std::vector<Item> items = objects_among(std::move(json.items), reading.problems);
  if (format == "llava") {
    read_llava(items, reading);
  } else if (format == "qa") {
    read_qa(items, reading);
  } else if (format == "coco-captions") {
    read_caption_rows(items, reading);
  } else {
    read_questions(items, answers_of(reading, items, format), reading);
  }
  return format;
}

/// What else than JSON a file is: its format, or an empty text.
std::string other_format(const Reading& reading) {
  const DataOptions& options = reading.options;
  if (options.format == "text" || options.format == "vlmevalkit-tsv") return options.format;
  if (options.format == "auto") {
    if (options.path.extension() == ".txt") return "text";
    if (!looks_like_json(reading.text.view()) && is_table(reading.text)) return "vlmevalkit-tsv";
  }
  return "";
}

/// Options that only some formats read would be without effect on others.
void require_used(const DataOptions& options, const std::string& format) {
  const std::string file = options.path.string();
  if (!options.answers.empty() && format != "llava-questions" && format != "llava-bench") {
    fail("{}: 'answers' is for llava-questions and llava-bench, the file is {}, which has its own",
         file, format);
  }
  if (!options.prompt.empty() && format != "coco-captions" && format != "vlmevalkit-tsv")
    fail("{}: 'prompt' is for captions, the file is {}, which asks its own questions", file,
         format);
}

}  // namespace

std::string read_samples(const Reading& reading, const Tokenizer* tokenizer) {
  const DataOptions& options = reading.options;
  const std::string& file = reading.problems.file();
  std::string format = other_format(reading);
  if (options.tokens && format != "text") {
    fail("{}: prompt_tokens and answer_tokens cut plain text: a .txt file, or 'format: text'",
         file);
  }
  if (format == "text" && options.tokens) {
    ELASTIKV_ASSERT(tokenizer != nullptr, "{}: windows of tokens without a tokenizer", file);
    read_tokens(*tokenizer, reading);
  } else if (format == "text") {
    read_text(reading);
  } else if (format == "vlmevalkit-tsv") {
    read_tsv(reading);
  } else if (looks_like_json(reading.text.view())) {
    format = read_json_samples(reading);
  } else {
    fail_format(file, "the file is neither JSON nor JSON lines");
  }
  require_used(options, format);
  return format;
}

}  // namespace elastikv
