#include "datasets/prompt_parts.h"

#include <algorithm>
#include <cstddef>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "datasets/row_values.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// Calls `text` for what stands as it is and `column` for a name in braces, from left to right.
void walk(std::string_view part, const std::function<void(std::string_view)>& text,
          const std::function<void(std::string_view)>& column) {
  for (size_t at = 0; at < part.size();) {
    const size_t brace = std::min(part.find_first_of("{}", at), part.size());
    text(part.substr(at, brace - at));
    if (brace == part.size()) return;
    const char kind = part[brace];
    if (part.substr(brace + 1).starts_with(kind)) {
      text(part.substr(brace, 1));
      at = brace + 2;
      continue;
    }
    const size_t end = part.find_first_of("{}", brace + 1);
    if (kind == '}' || end == std::string_view::npos || part[end] == '{' || end == brace + 1) {
      fail("has a '{}' that belongs to no column's name; double it where it is meant as it is",
           kind);
    }
    column(part.substr(brace + 1, end - brace - 1));
    at = end + 1;
  }
}

/// As Python's str() has it for texts, numbers and lists of these.
std::string text_of(const Json& value) {
  if (!value.is_array()) return as_text(value).value_or("");
  std::string list;
  for (const Json& entry : value)
    list += fmt::format("{}{}", list.empty() ? "" : ", ", text_of(entry));
  return fmt::format("[{}]", list);
}

std::string filled(std::string_view part, const Json& row) {
  std::string whole;
  walk(
      part, [&](std::string_view text) { whole += text; },
      [&](std::string_view column) { whole += text_of(value_at(row, column)); });
  return whole;
}

}  // namespace

void check_part(std::string_view part) {
  const auto nothing = [](std::string_view) {};
  walk(part, nothing, nothing);
}

std::vector<std::string> names_in(const PromptParts& parts) {
  std::vector<std::string> names;
  for (const std::string* part : {&parts.context, &parts.question, &parts.answer_prefix}) {
    walk(
        *part, [](std::string_view) {},
        [&](std::string_view column) { names.emplace_back(column); });
  }
  return names;
}

void write_parts(const PromptParts& parts, const Json& row, Sample& sample) {
  const std::string context = filled(parts.context, row);
  sample.question = context + filled(parts.question, row);
  sample.context_length = context.size();
  sample.answer_prefix = filled(parts.answer_prefix, row);
}

}  // namespace elastikv
