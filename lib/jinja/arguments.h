#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/objects.h"

namespace elastikv::jinja {

/// The arguments of a call by the parameters they are for.
class Bound {
 public:
  /// Error, in Python's words, for too many arguments, too few for the first `required` parameters,
  /// a name that no parameter has, or a parameter given twice.
  Bound(std::string_view function, const Arguments& arguments,
        std::initializer_list<std::string_view> parameters, size_t required = 0);

  bool has(size_t parameter) const { return values_[parameter] != nullptr; }
  const Value& operator[](size_t parameter) const { return *values_[parameter]; }
  Value value(size_t parameter, const Value& otherwise) const {
    return has(parameter) ? *values_[parameter] : otherwise;
  }
  /// Of a kind that is needed; Error for another.
  int64_t integer(size_t parameter, int64_t otherwise) const;
  bool truth(size_t parameter, bool otherwise) const;
  /// A string; Error for anything else.
  const std::string& text(size_t parameter) const;
  /// None when the argument is missing or none.
  std::optional<Value> optional(size_t parameter) const;

 private:
  std::string_view function_;
  std::vector<const Value*> values_;
};

/// Arguments that a method of Python's takes by their place alone. Error for names, or for fewer or
/// more than wanted.
void require_positional(std::string_view function, const Arguments& arguments, size_t least,
                        size_t most);
/// The text of an argument; Error when it is no string.
const std::string& text_argument(std::string_view function, const Value& value);

}  // namespace elastikv::jinja
