#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "jinja/runtime.h"

namespace elastikv::jinja {

/// What `value.name` means in a template: an attribute (a method, mostly), else an item, else a
/// value that is not there. Error when `value` itself is not there.
Value get_attribute(Runtime& runtime, const Value& value, std::string_view name);
/// What `value[key]` means: an item, else an attribute, else a value that is not there.
Value get_item(Runtime& runtime, const Value& value, const Value& key);
/// Python's getattr() alone; nothing when there is none. What would change a list or a dict is a
/// value that is not there.
std::optional<Value> attribute_of(Runtime& runtime, const Value& value, std::string_view name);

/// Calls a macro, a function, a method or what else can be called; Error for another value.
Value call(Runtime& runtime, const Value& callee, Arguments& arguments);
bool is_callable(const Value& value);

struct NamedMethod {
  std::string_view name;
  MethodObject::Method method;
};
/// The methods of strings, sorted by name.
const std::vector<NamedMethod>& string_methods();
/// The methods of lists, tuples, ranges and dicts, and of the objects of Jinja's.
const std::vector<NamedMethod>& container_methods(Kind kind);

}  // namespace elastikv::jinja
