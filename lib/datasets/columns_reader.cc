#include "datasets/columns_reader.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "datasets/item_fields.h"
#include "datasets/multiple_choice.h"
#include "datasets/prompt_parts.h"
#include "datasets/python_list.h"
#include "datasets/row_values.h"
#include "datasets/tsv_table.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr size_t kLetters = 26;

/// What a column is for, and its name; in the order in which they are asked for.
std::vector<std::pair<std::string, std::string>> roles(const DataColumns& columns) {
  std::vector<std::pair<std::string, std::string>> all;
  const auto add = [&](const char* role, const std::string& name) {
    if (!name.empty()) all.emplace_back(role, name);
  };
  add("question", columns.question);
  for (const std::string& name : columns.images) add("images", name);
  for (const std::string& name : columns.options) add("options", name);
  add("answer", columns.answer);
  add("id", columns.id);
  for (const std::string& name : columns.categories) add("categories", name);
  add("context", columns.context);
  add("split", columns.split);
  add("classes", columns.classes);
  add("max_new_tokens", columns.max_new_tokens);
  return all;
}

std::string text_or_none(const Json& row, const std::string& name) {
  return name.empty() ? "" : as_text(value_at(row, name)).value_or("");
}

/// The options of a row by their letters: those of a list, or of a column for each.
std::vector<Option> options_of(const Json& row, const std::vector<std::string>& columns) {
  std::vector<std::string> texts;
  if (columns.size() == 1) {
    texts = as_texts(value_at(row, columns.front())).value_or(std::vector<std::string>());
  } else {
    for (const std::string& name : columns) texts.push_back(text_or_none(row, name));
  }
  std::vector<Option> options;
  for (size_t i = 0; i < std::min(texts.size(), kLetters); ++i) {
    if (!is_blank(texts[i]))
      options.push_back({static_cast<char>('A' + static_cast<char>(i)), std::move(texts[i])});
  }
  return options;
}

/// How many images a value of a column of images has, what is null included.
int64_t places_of(const Json& value) {
  if (!value.is_array()) return 1;
  int64_t places = 0;
  for (const Json& entry : value) places += places_of(entry);
  return places;
}

ImageSource image_with_id(const std::string& id) {
  ImageSource source;
  source.id = id;
  return source;
}

/// The option that an answer is, by its letter ("B", "(B)"), its text, or its place from 0; null
/// for none.
const Option* chosen_of(const std::string& answer, const std::vector<Option>& options) {
  const auto find = [&](const auto& is) -> const Option* {
    const auto found = std::find_if(options.begin(), options.end(), is);
    return found == options.end() ? nullptr : &*found;
  };
  const std::string_view text = trimmed(answer);
  const bool in_brackets = text.size() == 3 && text.front() == '(' && text.back() == ')';
  const std::string_view letter = in_brackets ? text.substr(1, 1) : text;
  if (const Option* by_letter =
          find([&](const Option& option) { return letter == std::string_view(&option.letter, 1); }))
    return by_letter;
  if (const Option* by_text = find([&](const Option& option) { return option.text == answer; }))
    return by_text;
  if (text.empty() || text.size() > 2 ||
      text.find_first_not_of("0123456789") != std::string_view::npos)
    return nullptr;
  const int place = std::stoi(std::string(text));
  return find([&](const Option& option) { return option.letter - 'A' == place; });
}

}  // namespace

ColumnsReader::ColumnsReader(const Reading& reading)
    : reading_(reading), columns_(*reading.options.columns) {
  const DataOptions& options = reading.options;
  const std::string& file = reading.problems.file();
  if (options.format != "auto")
    fail("{}: 'columns' says how the file is read; leave 'format' out", file);
  if (options.parts && (!columns_.question.empty() || !columns_.context.empty()))
    fail("{}: 'prompt_parts' writes the question; leave columns.question and columns.context out",
         file);
  if (options.parts && !options.prompt.empty())
    fail("{}: 'prompt' is for data without questions, 'prompt_parts' writes some", file);
  if (!columns_.classes.empty() && !columns_.options.empty())
    fail("{}: columns.options are shown and columns.classes are not; leave one of them out", file);
  if (!columns_.question.empty() && !options.prompt.empty())
    fail("{}: 'prompt' is for data without questions, columns.question names some", file);
  if (!options.parts && columns_.question.empty() && columns_.images.empty())
    fail("{}: 'columns' names neither question nor images", file);
  if (columns_.categories.empty() && !columns_.category_separator.empty())
    fail("{}: 'columns' names no categories, which category_separator parts", file);
  if (columns_.answer.empty() && options.needs_answers)
    fail("{}: 'columns' names no answer, which perplexity and the metrics compare with", file);
}

std::vector<std::string> ColumnsReader::needed(const std::vector<std::string>& present,
                                               const std::string& file) const {
  std::vector<std::string> used;
  std::vector<std::pair<std::string, std::string>> all;
  for (auto& [role, name] : roles(columns_))
    all.emplace_back(fmt::format("columns.{} is", role), std::move(name));
  if (reading_.options.parts) {
    for (std::string& name : names_in(*reading_.options.parts))
      all.emplace_back("prompt_parts names", std::move(name));
  }
  for (const auto& [what, name] : all) {
    std::string column = required_column(what, name, present, file);
    if (std::find(used.begin(), used.end(), column) == used.end())
      used.push_back(std::move(column));
  }
  return used;
}

void ColumnsReader::read(const Json& row, int64_t index, const std::string& where,
                         const ImagesOf& images_of) {
  if (!columns_.split.empty() && !reading_.options.split.empty()) {
    const std::string split = text_or_none(row, columns_.split);
    if (split != reading_.options.split) {
      other_splits_.insert(split);
      return;
    }
  }
  Draft draft;
  draft.sample.index = index;
  draft.where = where;
  if (columns_.id.empty()) {
    draft.sample.id = std::to_string(index);
  } else {
    draft.sample.id =
        id_text(value_at(row, columns_.id), columns_.id.c_str(), where, reading_.problems);
  }
  draft.where = fmt::format("{} ('{}')", where, draft.sample.id);
  for (const std::string& name : columns_.categories) {
    for (std::string& category :
         as_texts(value_at(row, name)).value_or(std::vector<std::string>())) {
      std::vector<std::string>& categories = draft.sample.categories;
      if (!columns_.category_separator.empty()) {
        for (std::string& piece : pieces_of(category, columns_.category_separator))
          categories.push_back(std::move(piece));
      } else if (!is_blank(category)) {
        categories.push_back(std::move(category));
      }
    }
  }
  read_images(row, images_of, draft);
  const std::vector<Option> options = options_of(row, columns_.options);
  draft.sample.options = texts_by_letter(options);
  if (!columns_.classes.empty()) {
    draft.sample.options =
        as_texts(value_at(row, columns_.classes)).value_or(std::vector<std::string>());
  }
  read_max_new_tokens(row, draft);
  if (reading_.options.parts) {
    write_parts(*reading_.options.parts, row, draft.sample);
  } else if (columns_.question.empty()) {
    const std::string& prompt = reading_.options.prompt;
    draft.sample.question = prompt.empty() ? kCaptionPrompt : prompt;
    if (draft.images.empty() && !draft.lacks_images)
      reading_.problems.add(ProblemKind::kItem, draft, "the row has no image");
  } else {
    const std::string context = text_or_none(row, columns_.context);
    const std::string question = text_or_none(row, columns_.question);
    draft.sample.context_length = context_length(context, question);
    draft.sample.question = with_options(context, question, options);
  }
  if (!columns_.answer.empty()) read_answer(value_at(row, columns_.answer), options, draft);
  reading_.add(std::move(draft));
}

void ColumnsReader::finish() const {
  if (!reading_.drafts.empty() || other_splits_.empty()) return;
  const std::set<std::string> splits(other_splits_.begin(), other_splits_.end());
  const std::vector<std::string> known(splits.begin(), splits.end());
  fail("{}: no row's '{}' is '{}'{}", reading_.problems.file(), columns_.split,
       reading_.options.split, suggestion(reading_.options.split, known));
}

void ColumnsReader::read_images(const Json& row, const ImagesOf& images_of, Draft& draft) {
  int64_t places = 0;
  for (const std::string& name : columns_.images) {
    const Json value = value_at(row, name);
    if (std::optional<std::vector<ImageSource>> held = images_of ? images_of(name) : std::nullopt) {
      for (ImageSource& source : *held) {
        source.number += places;
        draft.images.push_back(std::move(source));
      }
      places += places_of(value);
    } else {
      add_image(value, name, places, draft);
    }
    if (draft.lacks_images) return;
  }
}

void ColumnsReader::read_max_new_tokens(const Json& row, Draft& draft) {
  if (columns_.max_new_tokens.empty()) return;
  const Json value = value_at(row, columns_.max_new_tokens);
  if (value.is_null()) return;
  int64_t number = 0;
  if (!parse_int(as_text(value).value_or(""), number) || number < 1) {
    reading_.problems.add(ProblemKind::kItem, draft,
                          fmt::format("'{}' is {}, a number of tokens from 1 is needed",
                                      columns_.max_new_tokens, shortened(value.dump())));
    return;
  }
  draft.sample.max_new_tokens = number;
}

void ColumnsReader::add_image(const Json& value, const std::string& column, int64_t& places,
                              Draft& draft) {
  if (value.is_array()) {
    for (const Json& entry : value) add_image(entry, column, places, draft);
    return;
  }
  if (value.is_object() && value.contains("path")) {
    add_image(value["path"], column, places, draft);
    return;
  }
  const bool by_id = reading_.options.images_from.has_value();
  if (!value.is_null() && !value.is_string() && !(by_id && value.is_number_integer())) {
    draft.lacks_images = true;
    reading_.problems.add(
        ProblemKind::kItem, draft,
        fmt::format("'{}' holds a value of type {}, {} is needed", column, value.type_name(),
                    by_id ? "an id (a text or an integer)" : "an image or its name"));
    return;
  }
  const std::string text = as_text(value).value_or("");
  if (is_blank(text)) {
    ++places;
    return;
  }
  const std::optional<std::vector<std::string>> names = as_texts(value);
  if (!names) {
    draft.lacks_images = true;
    reading_.problems.add(ProblemKind::kItem, draft,
                          fmt::format("'{}' {} is no list", column, shortened(text)));
    return;
  }
  for (const std::string& name : *names) {
    ++places;
    if (by_id && is_blank(name)) continue;
    ImageSource source = by_id ? image_with_id(name) : image_called(name, reading_.text);
    source.number = places;
    draft.images.push_back(std::move(source));
  }
}

void ColumnsReader::read_answer(const Json& value, const std::vector<Option>& options,
                                Draft& draft) {
  const std::optional<std::vector<std::string>> texts = as_texts(value);
  const auto refuse = [&](const std::string& why) {
    draft.lacks_answer = true;
    if (reading_.options.needs_answers) reading_.problems.add(ProblemKind::kItem, draft, why);
  };
  if (!texts) {
    refuse(fmt::format("'{}' is {}, a text, a number or a list of them is needed", columns_.answer,
                       value.is_string() ? shortened(value.dump())
                                         : fmt::format("of type {}", value.type_name())));
    return;
  }
  if (texts->empty()) return;  // noted with the other texts where it is needed
  const std::string& answer = most_frequent(*texts);
  if (!options.empty()) {
    if (const Option* option = chosen_of(answer, options)) {
      choose(*option, draft);
    } else if (!is_blank(answer)) {
      refuse(no_option(answer, options));
    }
    return;
  }
  draft.sample.answer = answer;
  if (texts->size() < 2) {
    draft.sample.references = alternatives_of(answer);
    return;
  }
  // How often people said what counts in VQA accuracy.
  draft.sample.votes = *texts;
  draft.sample.references = each_once(*texts);
}

namespace {

void read_json_by_columns(ColumnsReader& rows, const Reading& reading) {
  JsonFile json = read_json(reading.text.view(), reading.problems);
  if (json.object) json.items.push_back({json.object, 0, "line 1", ""});
  const std::vector<Item> items = objects_among(std::move(json.items), reading.problems);
  std::set<std::string> names;
  for (const Item& item : items) {
    for (const auto& entry : item.value->items()) names.insert(entry.key());
  }
  rows.needed({names.begin(), names.end()}, reading.problems.file());
  for (const Item& item : items) rows.read(*item.value, item.index, item.where);
}

void read_table_by_columns(ColumnsReader& rows, const Reading& reading) {
  const TsvTable table = read_tsv_table(reading.text, reading.problems);
  const std::vector<std::string> header(table.header.begin(), table.header.end());
  const std::vector<std::string> used = rows.needed(header, reading.problems.file());
  int64_t index = 0;
  for (const TsvRow& row : table.rows) {
    Json object = Json::object();
    for (size_t i = 0; i < header.size(); ++i) {
      const bool is_used = std::find(used.begin(), used.end(), header[i]) != used.end();
      if (is_used && !row.fields[i].empty()) object[header[i]] = std::string(row.fields[i]);
    }
    rows.read(object, index++, fmt::format("line {}", row.line));
  }
}

}  // namespace

void read_text_by_columns(const Reading& reading) {
  ColumnsReader rows(reading);
  if (looks_like_json(reading.text.view())) {
    read_json_by_columns(rows, reading);
  } else {
    read_table_by_columns(rows, reading);
  }
  rows.finish();
}

/// Rows of any file by DataOptions::columns.
extern const DataFormat kColumnsFormat{.name = "columns", .takes_prompt = true};

}  // namespace elastikv
