#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/runtime.h"

namespace elastikv::jinja {

/// `input | name(arguments)`.
using Filter = Value (*)(Runtime& runtime, const Value& input, Arguments& arguments);
/// `input is name(arguments)`.
using Test = bool (*)(Runtime& runtime, const Value& input, Arguments& arguments);
/// A function that every template can call.
using Function = FunctionObject::Function;

/// Jinja's filters and tests by name; null when there is none.
Filter find_filter(std::string_view name);
Test find_test(std::string_view name);
/// Jinja's own global functions, with those of transformers; null when there is none.
Function find_function(std::string_view name);

/// Applies one by name; Error when there is none.
Value apply_filter(Runtime& runtime, std::string_view name, const Value& input,
                   Arguments& arguments);
bool apply_test(Runtime& runtime, std::string_view name, const Value& input, Arguments& arguments);

template <typename T>
using Named = std::vector<std::pair<std::string_view, T>>;
/// The filters by what they are about.
const Named<Filter>& text_filters();
const Named<Filter>& value_filters();
const Named<Filter>& sequence_filters();
const Named<Filter>& choosing_filters();

/// What "a.b.0" leads to from an item: each part as get_item finds it.
class AttributePath {
 public:
  /// From an argument: a text, an integer, or nothing for the item itself.
  AttributePath(Runtime& runtime, const std::optional<Value>& attribute);
  /// What stands in for a part that is not there.
  void set_default(std::optional<Value> otherwise) { default_ = std::move(otherwise); }
  Value of(Runtime& runtime, Value item) const;

 private:
  std::vector<Value> parts_;
  std::optional<Value> default_;
};

/// A text in lower case, another value as it is: what is compared without regard to case.
Value without_case(Runtime& runtime, const Value& value);

}  // namespace elastikv::jinja
