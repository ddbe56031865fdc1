#include "base/json_fields.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "base/json_integer.h"
#include "base/json_problem.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

}  // namespace

bool is_nested_too_deep(std::string_view text) {
  int level = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (in_string) {
      if (letter == '\\') {
        ++i;
      } else {
        in_string = letter != '"';
      }
    } else if (letter == '"') {
      in_string = true;
    } else if (letter == '[' || letter == '{') {
      if (++level > kMostJsonLevels) return true;
    } else if (letter == ']' || letter == '}') {
      --level;
    }
  }
  return false;
}

Json parse_json(std::string_view text, std::string_view origin) {
  if (is_nested_too_deep(text)) {
    fail("{}: not read: its values are nested deeper than {} levels", origin, kMostJsonLevels);
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    const JsonProblem problem = json_problem(text, error.byte, error.what());
    fail("{}:{}:{}: not valid JSON: {}", origin, problem.line, problem.column, problem.reason);
  } catch (const Json::exception&) {
    fail("{}: not valid JSON (text is not UTF-8, or a number is out of range)", origin);
  }
}

JsonFields JsonFields::read(const std::filesystem::path& file) {
  Json value = parse_json(read_file(file), file.string());
  if (!value.is_object())
    fail("{}: a JSON object is needed, this is {}", file.string(), value.type_name());
  return {std::move(value), file.string()};
}

JsonFields::JsonFields(Json object, std::string origin, std::string prefix)
    : object_(std::make_shared<const Json>(std::move(object))),
      origin_(std::move(origin)),
      prefix_(std::move(prefix)) {}

bool JsonFields::has(std::string_view key) const {
  const auto found = object_->find(std::string(key));
  return found != object_->end() && !found->is_null();
}

std::vector<std::string> JsonFields::keys() const {
  std::vector<std::string> names;
  for (const auto& item : object_->items()) names.push_back(item.key());
  return names;
}

void JsonFields::fail_key(std::string_view key, std::string_view problem) const {
  fail("{}: key '{}' {}", origin_, join_key(prefix_, key), problem);
}

const Json& JsonFields::at(std::string_view key, std::string_view needed) const {
  if (!has(key)) fail_key(key, fmt::format("is missing ({} is needed)", needed));
  return (*object_)[std::string(key)];
}

int64_t JsonFields::integer(std::string_view key) const {
  const Json& value = at(key, "an integer");
  const std::optional<int64_t> found = integer_in(value);
  if (!found) fail_key(key, fmt::format("is {}, an integer is needed", value.dump()));
  return *found;
}

double JsonFields::number(std::string_view key) const {
  const Json& value = at(key, "a number");
  if (!value.is_number()) fail_key(key, fmt::format("is {}, a number is needed", value.dump()));
  return value.get<double>();
}

bool JsonFields::boolean(std::string_view key) const {
  const Json& value = at(key, "true or false");
  if (!value.is_boolean())
    fail_key(key, fmt::format("is {}, true or false is needed", value.dump()));
  return value.get<bool>();
}

std::string JsonFields::string(std::string_view key) const {
  const Json& value = at(key, "a string");
  if (!value.is_string()) fail_key(key, fmt::format("is {}, a string is needed", value.dump()));
  return value.get<std::string>();
}

std::vector<double> JsonFields::numbers(std::string_view key) const {
  const Json& value = at(key, "a list of numbers");
  if (!value.is_array() ||
      !std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_number(); })) {
    fail_key(key, fmt::format("is {}, a list of numbers is needed", value.dump()));
  }
  return value.get<std::vector<double>>();
}

std::vector<std::string> JsonFields::strings(std::string_view key) const {
  const Json& value = at(key, "a list of strings");
  if (!value.is_array() ||
      !std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_string(); })) {
    fail_key(key, fmt::format("is {}, a list of strings is needed", value.dump()));
  }
  return value.get<std::vector<std::string>>();
}

int64_t JsonFields::integer(std::string_view key, int64_t otherwise) const {
  return has(key) ? integer(key) : otherwise;
}
double JsonFields::number(std::string_view key, double otherwise) const {
  return has(key) ? number(key) : otherwise;
}
bool JsonFields::boolean(std::string_view key, bool otherwise) const {
  return has(key) ? boolean(key) : otherwise;
}
std::string JsonFields::string(std::string_view key, std::string_view otherwise) const {
  return has(key) ? string(key) : std::string(otherwise);
}

JsonFields JsonFields::object(std::string_view key) const {
  const Json& value = at(key, "an object");
  if (!value.is_object())
    fail_key(key, fmt::format("is {}, an object is needed", value.type_name()));
  return {value, origin_, join_key(prefix_, key)};
}

JsonFields JsonFields::object_or_empty(std::string_view key) const {
  if (!has(key)) return {Json::object(), origin_, join_key(prefix_, key)};
  return object(key);
}

std::vector<JsonFields> JsonFields::objects(std::string_view key) const {
  const Json& value = at(key, "a list of objects");
  if (!value.is_array() ||
      !std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_object(); })) {
    fail_key(key, "is something else, a list of objects is needed");
  }
  std::vector<JsonFields> items;
  for (const Json& item : value) {
    items.push_back(
        {item, origin_, join_key(join_key(prefix_, key), std::to_string(items.size()))});
  }
  return items;
}

}  // namespace elastikv
