#include "datasets/row_values.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "datasets/python_list.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

Json member_of(const Json& value, std::string_view path) {
  if (path.empty()) return value;
  const std::string_view first = path.substr(0, path.find('.'));
  if (value.is_array() && first.find_first_not_of("0123456789") == std::string_view::npos) {
    constexpr size_t kMostDigits = 9;
    const size_t place = first.size() > kMostDigits ? value.size() : std::stoul(std::string(first));
    if (place >= value.size()) return Json();
    return member_of(value[place], path.substr(std::min(first.size() + 1, path.size())));
  }
  if (value.is_array()) {
    Json list = Json::array();
    for (const Json& entry : value) list.push_back(member_of(entry, path));
    return list;
  }
  if (!value.is_object()) return Json();
  const auto member = value.find(std::string(first));
  if (member == value.end()) return Json();
  return member_of(*member, path.substr(std::min(first.size() + 1, path.size())));
}

}  // namespace

std::string column_of(std::string_view name, const std::vector<std::string>& columns) {
  const auto has = [&](std::string_view wanted) {
    return std::find(columns.begin(), columns.end(), wanted) != columns.end();
  };
  if (has(name)) return std::string(name);
  const std::string_view first = name.substr(0, name.find('.'));
  return has(first) ? std::string(first) : "";
}

std::string required_column(const std::string& what, const std::string& name,
                            const std::vector<std::string>& columns, const std::string& file) {
  std::string column = column_of(name, columns);
  if (column.empty()) {
    const std::string near = nearest_name(name, columns);
    fail("{}: {} '{}', no column of the file; {} has {}", file, what, name,
         near.empty() ? "it" : fmt::format("did you mean '{}'? It", near), listed(columns));
  }
  return column;
}

Json value_at(const Json& row, std::string_view name) {
  const auto whole = row.find(std::string(name));
  return whole == row.end() ? member_of(row, name) : *whole;
}

std::optional<std::string> as_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  return std::nullopt;
}

std::optional<std::vector<std::string>> as_texts(const Json& value) {
  if (value.is_null()) return std::vector<std::string>();
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text == "[]") return std::vector<std::string>();
    if (looks_like_string_list(text)) return parse_string_list(text);
    return std::vector<std::string>{text};
  }
  if (!value.is_array()) {
    std::optional<std::string> text = as_text(value);
    if (!text) return std::nullopt;
    return std::vector<std::string>{std::move(*text)};
  }
  std::vector<std::string> texts;
  for (const Json& entry : value) {
    if (entry.is_null()) continue;
    const bool is_answer = entry.is_object() && entry.contains("answer");
    std::optional<std::string> text = as_text(is_answer ? entry["answer"] : entry);
    if (!text) return std::nullopt;
    texts.push_back(std::move(*text));
  }
  return texts;
}

}  // namespace elastikv
