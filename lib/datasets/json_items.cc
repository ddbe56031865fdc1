#include "datasets/json_items.h"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/json_problem.h"
#include "datasets/file_text.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// The value of a line; nothing after noting why it is not JSON.
std::optional<Json> parse_line(std::string_view text, int64_t line, Problems& problems) {
  if (is_nested_too_deep(text)) {
    problems.add_line(ProblemKind::kSyntax, line,
                      fmt::format("not read: nested deeper than {} levels", kMostJsonLevels));
    return std::nullopt;
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    const JsonProblem problem = json_problem(text, error.byte, error.what());
    problems.add_line(ProblemKind::kSyntax, line,
                      fmt::format("not valid JSON: column {}: {}", problem.column, problem.reason));
  } catch (const Json::exception&) {
    problems.add_line(ProblemKind::kSyntax, line, "not valid JSON: a number is out of range");
  }
  return std::nullopt;
}

std::vector<Item> read_lines(std::string_view text, Problems& problems) {
  std::vector<Item> items;
  int64_t line = 0;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view content = text.substr(start, end - start);
    start = end + 1;
    ++line;
    if (is_blank(content)) continue;
    std::optional<Json> value = parse_line(content, line, problems);
    if (!value) continue;
    items.push_back({std::make_shared<const Json>(std::move(*value)),
                     static_cast<int64_t>(items.size()), fmt::format("line {}", line), ""});
  }
  return items;
}

/// Whether text that begins with "{" is JSON lines and not one object: its first line is a whole
/// object that others follow, or at least looks like one.
bool is_lines(std::string_view text) {
  const size_t start = text.find('{');
  const size_t end = std::min(text.find('\n', start), text.size());
  std::string_view line = text.substr(start, end - start);
  if (Json::accept(line)) return !is_blank(text.substr(end));
  line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
  return line.ends_with('}') && !Json::accept(text);
}

/// Collects the keys of the outermost object. (The parser's callback would do that too, but looks
/// through a whole array at the end of each of its elements.)
class OuterKeys : public nlohmann::json_sax<Json> {
 public:
  std::vector<std::string> keys;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(size_t) override { return ++depth_ > 0; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& name) override {
    if (depth_ == 1) keys.push_back(name);
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  int64_t depth_ = 0;
};

}  // namespace

bool looks_like_json(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (text[first] == '[' || text[first] == '{');
}

JsonFile read_json(std::string_view text, Problems& problems) {
  JsonFile result;
  if (text[text.find_first_not_of(" \t\r\n")] == '{') {
    if (!is_lines(text)) {
      result.object = std::make_shared<const Json>(parse_json(text, problems.file()));
      return result;
    }
    result.items = read_lines(text, problems);
    if (result.items.empty()) problems.refuse();
    return result;
  }
  Json array = parse_json(text, problems.file());
  for (Json& value : array) {
    const auto index = static_cast<int64_t>(result.items.size());
    result.items.push_back(
        {std::make_shared<const Json>(std::move(value)), index, fmt::format("item {}", index), ""});
  }
  if (result.items.empty()) fail("{}: the file holds no items", problems.file());
  return result;
}

std::vector<Item> objects_among(std::vector<Item> items, Problems& problems) {
  std::erase_if(items, [&](const Item& item) {
    if (item.value->is_object()) return false;
    problems.add(ProblemKind::kItem, fmt::format("{}: is of type {}, an object is needed",
                                                 item.where, item.value->type_name()));
    return true;
  });
  return items;
}

std::vector<Item> read_entries(std::string_view text, const std::shared_ptr<const Json>& object,
                               Problems& problems) {
  OuterKeys outer;
  Json::sax_parse(text, &outer);
  std::vector<Item> items;
  std::unordered_set<std::string_view> seen;
  for (const std::string& key : outer.keys) {
    const std::string where = fmt::format("entry '{}'", key);
    if (!seen.insert(key).second) {
      problems.add(ProblemKind::kRepeatedId, where + ": the id is used before");
      continue;
    }
    // Shares the object's ownership: the entry is a part of it.
    items.push_back({std::shared_ptr<const Json>(object, &object->at(key)),
                     static_cast<int64_t>(items.size()), where, key});
  }
  return items;
}

}  // namespace elastikv
