#pragma once

#include "jinja/runtime.h"

namespace elastikv::jinja {

/// Python's `format % arguments` for a string value. What is put into markup is escaped. Error
/// where Python would raise.
Value printf_format(Runtime& runtime, const Value& format, const Value& arguments);

}  // namespace elastikv::jinja
