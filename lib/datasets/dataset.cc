#include "datasets/dataset.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kPlaceholder = "<image>";
constexpr std::array<const char*, 6> kImageKeys{"images",     "image",     "imagename",
                                                "image_path", "file_name", "filename"};
constexpr size_t kProblemsShown = 5;

/// Collects what is wrong with a file, so that one run names several problems.
class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}

  void add(std::string problem) {
    if (shown_.size() < kProblemsShown) shown_.push_back(std::move(problem));
    ++count_;
  }
  void throw_if_any() const {
    if (count_ == 0) return;
    std::string text = shown_[0];
    for (size_t i = 1; i < shown_.size(); ++i) text += "; " + shown_[i];
    if (count_ > shown_.size()) text += fmt::format("; and {} more", count_ - shown_.size());
    if (count_ == 1) fail("{}: {}", file_, text);
    fail("{}: {} problems: {}", file_, count_, text);
  }

 private:
  std::string file_;
  std::vector<std::string> shown_;
  size_t count_ = 0;
};

/// A piece of the file that becomes one or several samples.
struct Item {
  Json value;
  int64_t index = 0;
  std::string where;  // "item 3" or "line 4"
};

/// A sample together with the place it is named by in messages.
struct Read {
  Sample sample;
  std::string where;
  std::vector<std::string> pictures;  // as the file writes them, not resolved
};

void require_utf8(std::string_view text, const std::string& file) {
  const size_t at = find_broken_utf8(text);
  if (at == std::string_view::npos) return;
  fail("{}:{}: not UTF-8 (byte 0x{:02x})", file,
       1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n'),
       static_cast<unsigned char>(text[at]));
}

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

std::vector<Item> json_lines(std::string_view text, const std::string& file) {
  std::vector<Item> items;
  int64_t line = 0;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view content = text.substr(start, end - start);
    start = end + 1;
    ++line;
    if (blank(content)) continue;
    Json value = Json::parse(content, /*cb=*/nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) fail("{}:{}: not valid JSON", file, line);
    items.push_back(
        {std::move(value), static_cast<int64_t>(items.size()), fmt::format("line {}", line)});
  }
  return items;
}

[[noreturn]] void fail_format(const std::string& file, std::string_view found) {
  fail(
      "{}: unknown data format: tried llava (items with 'conversations'), qa (items with "
      "'question' and 'answer') and text (a .txt file); {}",
      file, found);
}

/// The items of a JSON array or of JSON lines.
std::vector<Item> json_items(std::string_view text, const std::string& file) {
  const char first = text[text.find_first_not_of(" \t\r\n")];
  if (first != '[' && first != '{') fail_format(file, "the file is neither JSON nor JSON lines");
  if (first == '{') {
    // An object spread over several lines is one JSON value, not JSON lines.
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!Json::accept(line) && Json::accept(text)) {
      fail_format(file, "the file is one JSON object");
    }
    return json_lines(text, file);
  }
  Json array = parse_json(text, file);
  std::vector<Item> items;
  for (auto& value : array) {
    const auto index = static_cast<int64_t>(items.size());
    items.push_back({std::move(value), index, fmt::format("item {}", index)});
  }
  return items;
}

std::string recognise(const std::string& file, const std::vector<Item>& items) {
  constexpr size_t kKeysShown = 8;
  const Json& first = items.front().value;
  if (!first.is_object()) {
    fail_format(file, fmt::format("the first item is of type {}", first.type_name()));
  }
  if (first.contains("conversations")) return "llava";
  if (first.contains("question") && first.contains("answer")) return "qa";
  std::string keys;
  size_t count = 0;
  for (const auto& entry : first.items()) {
    if (++count > kKeysShown) {
      keys += ", ...";
      break;
    }
    keys += (keys.empty() ? "" : ", ") + entry.key();
  }
  fail_format(file, fmt::format("the first item has the keys {}", keys));
}

/// The item's id: a string or an integer, or its index when it has none.
std::string id_of(const Item& item, Problems& problems) {
  for (const char* key : {"id", "question_id"}) {
    if (!item.value.contains(key) || item.value[key].is_null()) continue;
    const Json& id = item.value[key];
    if (id.is_number_integer()) return id.dump();
    if (id.is_string() && !blank(id.get_ref<const std::string&>())) return id.get<std::string>();
    problems.add(fmt::format("{}: '{}' is {}, a string or an integer is needed", item.where, key,
                             id.dump()));
    return "";
  }
  return std::to_string(item.index);
}

/// A key that must hold a string; false after noting a problem.
bool read_string(const Json& object, const char* key, const std::string& where, std::string& text,
                 Problems& problems) {
  if (!object.contains(key) || object[key].is_null()) {
    problems.add(fmt::format("{}: '{}' is missing", where, key));
    return false;
  }
  if (!object[key].is_string()) {
    problems.add(fmt::format("{}: '{}' is of type {}, a string is needed", where, key,
                             object[key].type_name()));
    return false;
  }
  text = object[key].get<std::string>();
  return true;
}

/// The pictures' names as the item gives them: one, or a list.
std::vector<std::string> pictures_of(const Item& item, const std::string& where,
                                     Problems& problems) {
  for (const char* key : kImageKeys) {
    if (!item.value.contains(key) || item.value[key].is_null()) continue;
    const Json& value = item.value[key];
    std::vector<std::string> names;
    for (const Json& name : value.is_array() ? value : Json::array({value})) {
      if (!name.is_string()) {
        problems.add(fmt::format("{}: '{}' {} of type {}, a string is needed", where, key,
                                 value.is_array() ? "holds an entry" : "is", name.type_name()));
        return {};
      }
      names.push_back(name.get<std::string>());
      if (names.back().empty()) problems.add(fmt::format("{}: '{}' is empty", where, key));
    }
    return names;
  }
  return {};
}

size_t placeholders_in(const std::string& question) {
  size_t count = 0;
  for (size_t at = question.find(kPlaceholder); at != std::string::npos;
       at = question.find(kPlaceholder, at + 1)) {
    ++count;
  }
  return count;
}

/// Checks one sample's texts and adds it.
void add_sample(Read read, std::vector<Read>& samples, Problems& problems) {
  const std::string& question = read.sample.question;
  if (blank(read.sample.answer)) problems.add(read.where + ": the answer is empty");
  const size_t placeholders = placeholders_in(question);
  if (placeholders == 0) {
    if (blank(question)) problems.add(read.where + ": the question is empty");
  } else if (read.pictures.empty()) {
    problems.add(read.where + ": the question has <image>, but the item names no picture");
  } else if (placeholders != read.pictures.size()) {
    problems.add(fmt::format("{}: the question has <image> {} times, the item names {} picture{}",
                             read.where, placeholders, read.pictures.size(),
                             read.pictures.size() == 1 ? "" : "s"));
  }
  samples.push_back(std::move(read));
}

void read_qa(const Item& item, std::vector<Read>& samples, Problems& problems) {
  Read read;
  read.sample.index = item.index;
  read.sample.id = id_of(item, problems);
  read.where = fmt::format("{} ('{}')", item.where, read.sample.id);
  read.pictures = pictures_of(item, read.where, problems);
  const bool question =
      read_string(item.value, "question", read.where, read.sample.question, problems);
  const bool answer = read_string(item.value, "answer", read.where, read.sample.answer, problems);
  if (question && answer) add_sample(std::move(read), samples, problems);
}

/// The speaker's turns as (question, answer) pairs; false after noting a problem.
bool conversation_pairs(const Json& conversations, const std::string& where,
                        std::vector<std::pair<std::string, std::string>>& pairs,
                        Problems& problems) {
  if (!conversations.is_array() || conversations.empty() || conversations.size() % 2 != 0) {
    problems.add(where + ": 'conversations' needs pairs of a human's and a gpt's turn");
    return false;
  }
  for (size_t i = 0; i < conversations.size(); ++i) {
    const std::string turn = fmt::format("{}: conversations[{}]", where, i);
    const char* expected = i % 2 == 0 ? "human" : "gpt";
    std::string from;
    std::string value;
    if (!conversations[i].is_object()) {
      problems.add(turn + " is no object");
      return false;
    }
    if (!read_string(conversations[i], "from", turn, from, problems)) return false;
    if (!read_string(conversations[i], "value", turn, value, problems)) return false;
    if (from != expected) {
      problems.add(fmt::format("{} is from '{}', not '{}'", turn, from, expected));
      return false;
    }
    if (i % 2 == 0) {
      pairs.emplace_back(std::move(value), "");
    } else {
      pairs.back().second = std::move(value);
    }
  }
  return true;
}

void read_llava(const Item& item, const std::string& turn, std::vector<Read>& samples,
                Problems& problems) {
  Read read;
  read.sample.index = item.index;
  read.sample.id = id_of(item, problems);
  read.where = fmt::format("{} ('{}')", item.where, read.sample.id);
  read.pictures = pictures_of(item, read.where, problems);
  if (!item.value.contains("conversations")) {
    problems.add(read.where + ": 'conversations' is missing");
    return;
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  if (!conversation_pairs(item.value["conversations"], read.where, pairs, problems)) return;
  const auto add_turn = [&](size_t number, bool numbered) {
    Read one = read;
    if (numbered) {
      one.sample.id += fmt::format("#{}", number);
      one.where = fmt::format("{} ('{}')", item.where, one.sample.id);
    }
    one.sample.question = std::move(pairs[number - 1].first);
    one.sample.answer = std::move(pairs[number - 1].second);
    add_sample(std::move(one), samples, problems);
  };
  int64_t number = 0;
  if (turn == "first") {
    add_turn(1, /*numbered=*/false);
  } else if (turn == "all") {
    for (size_t pair = 1; pair <= pairs.size(); ++pair) add_turn(pair, /*numbered=*/true);
  } else if (parse_int(turn, number)) {
    if (number > static_cast<int64_t>(pairs.size())) {
      problems.add(fmt::format("{}: turn {} is asked for, the conversation has {}", read.where,
                               number, pairs.size()));
    } else {
      add_turn(static_cast<size_t>(number), /*numbered=*/true);
    }
  }
}

/// Cuts a text into windows; white space between words stays as it is in the file.
void read_text(std::string_view text, const DataOptions& options, std::vector<Read>& samples) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  struct Word {
    size_t begin;
    size_t end;
  };
  std::vector<Word> words;
  for (size_t at = text.find_first_not_of(kSpace); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSpace, at), text.size());
    words.push_back({at, end});
    at = text.find_first_not_of(kSpace, end);
  }
  const auto context = static_cast<size_t>(options.context_words);
  const auto window = context + static_cast<size_t>(options.answer_words);
  if (words.size() < window) {
    fail("{}: a window needs {} words ({} of context, {} of answer), the text has {}",
         options.path.string(), window, context, options.answer_words, words.size());
  }
  for (size_t first = 0; first + window <= words.size(); first += window) {
    Read read;
    read.sample.index = static_cast<int64_t>(samples.size());
    read.sample.id = fmt::format("window-{}", samples.size());
    read.where = read.sample.id;
    const size_t split = words[first + context - 1].end;
    const size_t begin = words[first].begin;
    read.sample.question = text.substr(begin, split - begin);
    read.sample.answer = text.substr(split, words[first + window - 1].end - split);
    samples.push_back(std::move(read));
  }
}

/// Cuts the ids of a text into windows.
void read_tokens(std::string_view text, const DataOptions& options, const Tokenizer& tokenizer,
                 std::vector<Read>& samples) {
  const TokenWindows& windows = *options.tokens;
  const std::vector<int64_t> ids = tokenizer.encode(text);
  const auto count = static_cast<int64_t>(ids.size());
  if (count < windows.length()) {
    fail("{}: a window needs {} tokens ({} of prompt, {} of answer), the text has {}",
         options.path.string(), windows.length(), windows.prompt_tokens, windows.answer_tokens,
         count);
  }
  for (int64_t first = 0; first + windows.length() <= count; first += windows.step()) {
    Read read;
    Sample& sample = read.sample;
    sample.index = static_cast<int64_t>(samples.size());
    sample.id = fmt::format("tokens-{}", first);
    read.where = sample.id;
    const auto begin = ids.begin() + first;
    const auto split = begin + windows.prompt_tokens;
    sample.prompt_ids.assign(begin, split);
    sample.answer_ids.assign(split, split + windows.answer_tokens);
    sample.question = tokenizer.decode(sample.prompt_ids, /*skip_special=*/false);
    sample.answer = tokenizer.decode(sample.answer_ids, /*skip_special=*/false);
    samples.push_back(std::move(read));
  }
}

/// The hash of what a sample asks and expects; `pictures`: the hashes of its pictures.
std::string content_of(const Sample& sample, const std::string& pictures) {
  if (sample.has_ids()) {
    return content_hash(
        fmt::format("{}|{}", fmt::join(sample.prompt_ids, ","), fmt::join(sample.answer_ids, ",")));
  }
  // Lengths keep the boundary between question and answer in the hash.
  return content_hash(fmt::format("{}:{}{}:{}{}", sample.question.size(), sample.question,
                                  sample.answer.size(), sample.answer, pictures));
}

/// The file that a picture's name means: below the root, or, since some files repeat the root's
/// last folder in the name, by its last component alone. Empty when neither exists.
std::filesystem::path find_picture(const std::string& name, const std::filesystem::path& root) {
  std::filesystem::path whole = root / name;
  if (std::filesystem::exists(whole)) return whole;
  std::filesystem::path last = root / std::filesystem::path(name).filename();
  if (std::filesystem::exists(last)) return last;
  return {};
}

/// Writes the pictures' places into questions that leave them to the prompt format.
void place_pictures(std::vector<Read>& samples, const std::string& place) {
  if (place.empty()) return;
  for (Read& read : samples) {
    std::string& question = read.sample.question;
    if (placeholders_in(question) > 0) continue;
    for (size_t i = 0; i < read.pictures.size(); ++i) {
      question = place == "before" ? fmt::format("{}\n{}", kPlaceholder, question)
                                   : fmt::format("{}\n{}", question, kPlaceholder);
    }
  }
}

void find_pictures(std::vector<Read>& samples, const DataOptions& options, Problems& problems,
                   const std::function<void(const std::filesystem::path&)>& check_picture) {
  const std::filesystem::path root =
      options.image_root.empty() ? options.path.parent_path() : options.image_root;
  for (Read& read : samples) {
    std::string hashes;
    bool complete = true;
    for (const std::string& name : read.pictures) {
      const std::filesystem::path picture = find_picture(name, root);
      if (picture.empty()) {
        problems.add(fmt::format("{}: no picture {}", read.where, (root / name).string()));
        complete = false;
        continue;
      }
      try {
        if (std::filesystem::is_regular_file(picture) && std::filesystem::file_size(picture) == 0)
          fail("{}: the file is empty", picture.string());
        if (check_picture) check_picture(picture);
        hashes += file_hash(picture);
      } catch (const Error& error) {
        problems.add(fmt::format("{}: {}", read.where, error.what()));
        complete = false;
      }
      read.sample.images.push_back(picture);
    }
    if (complete) read.sample.content = content_of(read.sample, hashes);
  }
}

/// Keeps the samples that the options ask for.
void select(std::vector<Read>& samples, const DataOptions& options) {
  if (!options.sample_ids.empty()) {
    std::vector<std::string> known;
    known.reserve(samples.size());
    for (const Read& read : samples) known.push_back(read.sample.id);
    for (const std::string& id : options.sample_ids) {
      if (std::find(known.begin(), known.end(), id) == known.end()) {
        const std::string near = nearest_name(id, known);
        fail("{}: no sample '{}'{}", options.path.string(), id,
             near.empty() ? fmt::format(" among its {}", known.size())
                          : fmt::format("; did you mean '{}'?", near));
      }
    }
    std::erase_if(samples, [&](const Read& read) {
      return std::find(options.sample_ids.begin(), options.sample_ids.end(), read.sample.id) ==
             options.sample_ids.end();
    });
  }
  if (options.offset >= static_cast<int64_t>(samples.size())) {
    fail("{}: offset {} leaves no sample of {}", options.path.string(), options.offset,
         samples.size());
  }
  samples.erase(samples.begin(), samples.begin() + options.offset);
  if (options.limit && *options.limit < static_cast<int64_t>(samples.size())) {
    samples.resize(static_cast<size_t>(*options.limit));
  }
}

void require_usable(const DataOptions& options) {
  const std::string file = options.path.string();
  const auto& formats = data_formats();
  if (std::find(formats.begin(), formats.end(), options.format) == formats.end()) {
    fail("{}: unknown data format '{}'{}", file, options.format,
         suggestion(options.format, formats));
  }
  int64_t number = 0;
  if (options.turn != "first" && options.turn != "all" &&
      (!parse_int(options.turn, number) || number < 1)) {
    fail("{}: turn is '{}', needs first, all or a number from 1", file, options.turn);
  }
  if (options.limit && *options.limit < 1) {
    fail("{}: limit is {}, needs to be at least 1", file, *options.limit);
  }
  if (options.offset < 0) fail("{}: offset is {}, needs to be at least 0", file, options.offset);
  if (options.context_words < 1 || options.answer_words < 1) {
    fail("{}: context_words and answer_words need to be at least 1", file);
  }
  if (options.tokens) {
    const TokenWindows& windows = *options.tokens;
    if (windows.prompt_tokens < 1 || windows.answer_tokens < 1 || windows.step() < 1) {
      fail("{}: prompt_tokens, answer_tokens and stride need to be at least 1", file);
    }
  }
  if (std::filesystem::is_directory(options.path)) {
    fail("{}: is a folder; name the data file in it", file);
  }
}

}  // namespace

const std::vector<std::string>& data_formats() {
  static const std::vector<std::string> formats{"auto", "llava", "qa", "text"};
  return formats;
}

std::string data_set_name(const std::filesystem::path& file) {
  static const std::vector<std::string> vague{"questions", "test", "train", "val", "validation"};
  const auto says_nothing = [](const std::string& name) {
    return std::find(vague.begin(), vague.end(), name) != vague.end();
  };
  std::string name = file.stem().string();
  std::filesystem::path folder = file.parent_path();
  // The file's own name goes when a folder can stand for it; the split (test, train) stays.
  if ((name == "annotations" || name == "data") && !folder.filename().empty()) {
    name = folder.filename().string();
    folder = folder.parent_path();
  }
  if (says_nothing(name) && !folder.filename().empty()) {
    name = folder.filename().string() + "-" + name;
  }
  return name;
}

DataSet read_data(const DataOptions& options,
                  const std::function<void(const std::filesystem::path&)>& check_picture,
                  const Tokenizer* tokenizer) {
  require_usable(options);
  const std::string file = options.path.string();
  const std::string text = read_file(options.path);
  require_utf8(text, file);
  if (blank(text)) fail("{}: the file is empty", file);

  Problems problems(file);
  DataSet data;
  data.name = options.name.empty() ? data_set_name(options.path) : options.name;
  std::vector<Read> samples;
  const bool is_text =
      options.format == "text" || (options.format == "auto" && options.path.extension() == ".txt");
  if (is_text) {
    data.format = "text";
    if (options.tokens) {
      ELASTIKV_ASSERT(tokenizer != nullptr, "{}: windows of tokens without a tokenizer", file);
      read_tokens(text, options, *tokenizer, samples);
    } else {
      read_text(text, options, samples);
    }
  } else if (options.tokens) {
    fail("{}: prompt_tokens and answer_tokens cut plain text: a .txt file, or 'format: text'",
         file);
  } else {
    const std::vector<Item> items = json_items(text, file);
    if (items.empty()) fail("{}: the file holds no items", file);
    data.format = options.format == "auto" ? recognise(file, items) : options.format;
    for (const Item& item : items) {
      if (!item.value.is_object()) {
        problems.add(fmt::format("{}: is of type {}, an object is needed", item.where,
                                 item.value.type_name()));
      } else if (data.format == "llava") {
        read_llava(item, options.turn, samples, problems);
      } else {
        read_qa(item, samples, problems);
      }
    }
    std::unordered_set<std::string> ids;
    for (const Read& read : samples) {
      if (!ids.insert(read.sample.id).second) {
        problems.add(fmt::format("{}: the id is used before", read.where));
      }
    }
  }
  problems.throw_if_any();

  select(samples, options);
  place_pictures(samples, options.picture_place);
  find_pictures(samples, options, problems, check_picture);
  problems.throw_if_any();

  std::string all;
  for (Read& read : samples) {
    read.sample.source = options.path;
    all += fmt::format("{}:{}{}", read.sample.id.size(), read.sample.id, read.sample.content);
    data.samples.push_back(std::move(read.sample));
  }
  data.content = content_hash(all);
  return data;
}

}  // namespace elastikv
