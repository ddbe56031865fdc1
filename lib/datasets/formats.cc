#include "datasets/formats.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "datasets/columns_reader.h"
#include "datasets/item_fields.h"
#include "datasets/parquet_reader.h"

namespace elastikv {

// Each is defined beside its reader.
extern const DataFormat kLlavaFormat;
extern const DataFormat kQaFormat;
extern const DataFormat kMmVetFormat;
extern const DataFormat kLlavaQuestionsFormat;
extern const DataFormat kLlavaBenchFormat;
extern const DataFormat kCocoCaptionsFormat;
extern const DataFormat kVlmEvalKitFormat;
extern const DataFormat kMmNiahFormat;
extern const DataFormat kMileBenchFormat;
extern const DataFormat kContextsFormat;
extern const DataFormat kTurnsFormat;
extern const DataFormat kTextFormat;
extern const DataFormat kColumnsFormat;  // of no files of its own: DataOptions::columns says it

namespace {

using Json = nlohmann::json;
using Formats = std::vector<const DataFormat*>;

constexpr const char* kAuto = "auto";

/// All formats, in the order in which they are listed and asked.
const Formats& formats() {
  static const Formats all{&kLlavaFormat,          &kMmNiahFormat,     &kContextsFormat,
                           &kTurnsFormat,          &kQaFormat,         &kMmVetFormat,
                           &kLlavaQuestionsFormat, &kLlavaBenchFormat, &kMileBenchFormat,
                           &kCocoCaptionsFormat,   &kVlmEvalKitFormat, &kTextFormat};
  return all;
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

/// Formats of items are named first, as most files hold some; files that are not JSON come last.
[[noreturn]] void fail_format(const std::string& file, std::string_view found) {
  Formats order = formats();
  std::stable_sort(order.begin(), order.end(), [](const DataFormat* a, const DataFormat* b) {
    const auto place = [](const DataFormat* format) {
      return format->read_items != nullptr ? 0 : format->read_object != nullptr ? 1 : 2;
    };
    return place(a) < place(b);
  });
  std::vector<std::string> tried;
  for (const DataFormat* format : order) {
    if (format->looks != nullptr)
      tried.push_back(fmt::format("{} ({})", format->name, format->looks));
  }
  fail("{}: unknown data format: tried {}; {}", file, listed(tried), found);
}

/// The format that most items are of. `what`: how a message calls the first one.
const DataFormat& recognise_items(const std::string& file, const std::vector<Item>& items,
                                  std::string_view what) {
  std::vector<size_t> counts(formats().size(), 0);
  const Json* first = nullptr;
  for (const Item& item : items) {
    if (!item.value->is_object()) continue;
    if (first == nullptr) first = item.value.get();
    for (size_t i = 0; i < counts.size(); ++i) {
      const auto is_item = formats()[i]->is_item;
      counts[i] += is_item != nullptr && is_item(*item.value) ? 1 : 0;
    }
  }
  if (first == nullptr)
    fail_format(file, fmt::format("{} is of type {}", what, items.front().value->type_name()));
  const auto most = std::max_element(counts.begin(), counts.end());
  if (*most > 0) return *formats()[static_cast<size_t>(most - counts.begin())];
  for (const DataFormat* format : formats()) {
    const bool may_be = format->may_be_item != nullptr &&
                        std::any_of(items.begin(), items.end(), [&](const Item& item) {
                          return item.value->is_object() && format->may_be_item(*item.value);
                        });
    if (may_be) return *format;
  }
  fail_format(file, keys_of(what, *first));
}

/// The format that a file's only object is as a whole; null: it is an item, or there are several.
const DataFormat* recognise_object(const JsonFile& json) {
  if (!json.object) return nullptr;
  const auto known = std::find_if(formats().begin(), formats().end(), [&](const DataFormat* f) {
    return f->is_object != nullptr && f->is_object(*json.object);
  });
  return known == formats().end() ? nullptr : *known;
}

/// The format that the options name; null: it is to be recognised.
const DataFormat* named_format(const DataOptions& options) {
  if (options.format == kAuto) return nullptr;
  const auto named = std::find_if(formats().begin(), formats().end(),
                                  [&](const DataFormat* f) { return f->name == options.format; });
  ELASTIKV_ASSERT(named != formats().end(), "data format '{}'", options.format);
  return *named;
}

/// The format of items, by its name or by most of them; `what`: how a message calls the first one.
const DataFormat& format_of_items(const std::vector<Item>& items, std::string_view what,
                                  const Reading& reading) {
  if (const DataFormat* named = named_format(reading.options)) return *named;
  const DataFormat& format = recognise_items(reading.problems.file(), items, what);
  const DataFormat* narrowed =
      format.narrowed == nullptr ? nullptr : format.narrowed(reading.options.path);
  return narrowed == nullptr ? format : *narrowed;
}

const DataFormat& read_json_samples(const Reading& reading) {
  const std::string& file = reading.problems.file();
  JsonFile json = read_json(reading.text.view(), reading.problems);
  const DataFormat* whole = recognise_object(json);
  const DataFormat* format = named_format(reading.options);
  if (format == nullptr) format = whole;
  // An object that is nothing as a whole is one item.
  if (json.object) json.items.push_back({json.object, 0, "line 1", ""});
  if (format == nullptr) {
    format = &format_of_items(
        json.items, json.object ? "the file is one JSON object, which" : "the first item", reading);
  }
  if (format->read_items == nullptr && !json.object)
    fail("{}: {} is one JSON object, this file holds items", file, format->name);
  if (format->read_items == nullptr || format == whole) {
    format->read_object(json.object, reading);
    return *format;
  }
  if (whole != nullptr) {
    fail("{}: is {} by its content, not {}; leave 'format' out", file, whole->name, format->name);
  }
  format->read_items(objects_among(std::move(json.items), reading.problems), reading);
  return *format;
}

const DataFormat& read_parquet_samples(const Reading& reading) {
  const std::string& file = reading.problems.file();
  const std::vector<Item> items = parquet_items(reading);
  if (items.empty()) fail("{}: the file holds no rows", file);
  const DataFormat& format = format_of_items(items, "the first row", reading);
  if (format.read_items == nullptr)
    fail("{}: {} is no format of rows, which Parquet has", file, format.name);
  format.read_items(items, reading);
  return format;
}

/// Reads by the columns that the options name.
const DataFormat& read_by_columns(const Reading& reading) {
  if (reading.parquet.empty()) {
    read_text_by_columns(reading);
  } else {
    read_parquet_by_columns(reading);
  }
  return kColumnsFormat;
}

/// The format of a file that is not JSON; null: it may be JSON.
const DataFormat* format_of_text(const Reading& reading) {
  const DataOptions& options = reading.options;
  if (const DataFormat* named = named_format(options))
    return named->read_text == nullptr ? nullptr : named;
  for (const DataFormat* format : formats()) {
    if (format->extension != nullptr && options.path.extension() == format->extension)
      return format;
  }
  if (looks_like_json(reading.text.view())) return nullptr;
  for (const DataFormat* format : formats()) {
    if (format->is_text != nullptr && format->is_text(reading.text)) return format;
  }
  return nullptr;
}

/// Options that only some formats read would be without effect on others.
void require_used(const DataOptions& options, const DataFormat& format) {
  const std::string file = options.path.string();
  if (!options.answers.empty() && !format.takes_answers) {
    std::vector<std::string> takers;
    for (const DataFormat* one : formats()) {
      if (one->takes_answers) takers.emplace_back(one->name);
    }
    fail("{}: 'answers' is for {}, the file is {}, which has its own", file, listed(takers),
         format.name);
  }
  if (!options.prompt.empty() && !format.takes_prompt)
    fail("{}: 'prompt' is for captions, the file is {}, which asks its own questions", file,
         format.name);
}

}  // namespace

const std::vector<std::string>& data_formats() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all{kAuto};
    for (const DataFormat* format : formats()) all.emplace_back(format->name);
    return all;
  }();
  return names;
}

const DataFormat& read_samples(const Reading& reading) {
  const std::string& file = reading.problems.file();
  const bool is_text = reading.parquet.empty() && !reading.options.columns;
  const DataFormat* format = is_text ? format_of_text(reading) : nullptr;
  if (reading.options.tokens && (format == nullptr || !format->in_windows)) {
    fail("{}: prompt_tokens and answer_tokens cut plain text: a .txt file, or 'format: text'",
         file);
  }
  if (format != nullptr) {
    format->read_text(reading);
  } else if (reading.options.columns) {
    format = &read_by_columns(reading);
  } else if (!reading.parquet.empty()) {
    format = &read_parquet_samples(reading);
  } else if (looks_like_json(reading.text.view())) {
    format = &read_json_samples(reading);
  } else {
    fail_format(file, "the file is neither JSON nor JSON lines");
  }
  require_used(reading.options, *format);
  return *format;
}

}  // namespace elastikv
