#include "jinja/filters.h"

#include <algorithm>

#include "jinja/attributes.h"
#include "jinja/characters.h"
#include "jinja/python_text.h"
#include "jinja/text_tools.h"

namespace elastikv::jinja {

Filter find_filter(std::string_view name) {
  for (const auto* filters :
       {&text_filters(), &value_filters(), &sequence_filters(), &choosing_filters()}) {
    for (const auto& [known, filter] : *filters) {
      if (known == name) return filter;
    }
  }
  return nullptr;
}

Value apply_filter(Runtime& runtime, std::string_view name, const Value& input,
                   Arguments& arguments) {
  const Filter filter = find_filter(name);
  if (filter == nullptr) fail("No filter named {} found.", repr_text(name));
  return filter(runtime, input, arguments);
}

bool apply_test(Runtime& runtime, std::string_view name, const Value& input, Arguments& arguments) {
  const Test test = find_test(name);
  if (test == nullptr) fail("No test named {} found.", repr_text(name));
  return test(runtime, input, arguments);
}

AttributePath::AttributePath(Runtime& runtime, const std::optional<Value>& attribute) {
  if (!attribute) return;
  if (!attribute->is_string()) {
    parts_.push_back(*attribute);
    return;
  }
  for (const std::string_view part :
       split(attribute->as<StringObject>().text(), std::string_view("."), -1)) {
    const bool is_index = !part.empty() && part.size() < 18 &&
                          part.find_first_not_of("0123456789") == std::string_view::npos;
    parts_.push_back(is_index ? Value::integer(std::stoll(std::string(part)))
                              : runtime.string(std::string(part)));
  }
}

Value AttributePath::of(Runtime& runtime, Value item) const {
  for (const Value& part : parts_) {
    runtime.step();
    item = get_item(runtime, item, part);
    if (default_ && item.is_undefined()) item = *default_;
  }
  return item;
}

Value without_case(Runtime& runtime, const Value& value) {
  if (!value.is_string()) return value;
  const auto& string = value.as<StringObject>();
  return runtime.string(lower(string.text()), string.markup());
}

}  // namespace elastikv::jinja
