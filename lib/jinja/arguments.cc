#include "jinja/arguments.h"

#include <algorithm>

#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {

Bound::Bound(std::string_view function, const Arguments& arguments,
             std::initializer_list<std::string_view> parameters, size_t required)
    : function_(function), values_(parameters.size(), nullptr) {
  if (arguments.positional.size() > parameters.size()) {
    fail("{}() takes at most {} arguments ({} given)", function, parameters.size(),
         arguments.positional.size());
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end()) {
      fail("{}() got an unexpected keyword argument {}", function, repr_text(name));
    }
    const Value*& place = values_[static_cast<size_t>(found - parameters.begin())];
    if (place != nullptr) fail("{}() got multiple values for argument '{}'", function, name);
    place = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) {
      fail("{}() missing required argument '{}'", function, parameters.begin()[i]);
    }
  }
}

int64_t Bound::integer(size_t parameter, int64_t otherwise) const {
  return has(parameter) ? require_integer(*values_[parameter]) : otherwise;
}

bool Bound::truth(size_t parameter, bool otherwise) const {
  return has(parameter) ? jinja::truth(*values_[parameter]) : otherwise;
}

const std::string& Bound::text(size_t parameter) const {
  return text_argument(function_, *values_[parameter]);
}

std::optional<Value> Bound::optional(size_t parameter) const {
  if (!has(parameter) || values_[parameter]->is_none()) return std::nullopt;
  return *values_[parameter];
}

void require_positional(std::string_view function, const Arguments& arguments, size_t least,
                        size_t most) {
  if (!arguments.named.empty()) fail("{}() takes no keyword arguments", function);
  const size_t given = arguments.positional.size();
  if (given < least) fail("{}() takes at least {} arguments ({} given)", function, least, given);
  if (given > most) fail("{}() takes at most {} arguments ({} given)", function, most, given);
}

const std::string& text_argument(std::string_view function, const Value& value) {
  if (!value.is_string()) {
    require_defined(value);
    fail("{}() argument must be str, not {}", function, type_name(value));
  }
  return value.as<StringObject>().text();
}

}  // namespace elastikv::jinja
