#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jinja/runtime.h"

namespace elastikv::jinja {

// Python's operators. Each throws an Error with Python's message where Python would raise, and
// Jinja's where a value is undefined.

/// Throws the Error of using a value that is not there.
[[noreturn]] void fail_undefined(const Value& value);
/// The same only when the value is undefined.
void require_defined(const Value& value);

bool truth(const Value& value);
bool equal(Runtime& runtime, const Value& left, const Value& right);
/// `left` < `right`; `symbol` is the operator that the message names.
bool less(Runtime& runtime, const Value& left, const Value& right, std::string_view symbol = "<");
/// One of ==, !=, <, <=, >, >=.
bool compare(Runtime& runtime, std::string_view symbol, const Value& left, const Value& right);
/// `item` in `container`.
bool contains(Runtime& runtime, const Value& container, const Value& item);

/// One of +, -, *, /, //, %, **.
Value arithmetic(Runtime& runtime, std::string_view symbol, const Value& left, const Value& right);
Value negative(const Value& value);
Value positive(const Value& value);

/// len(); nothing for what has no length.
std::optional<int64_t> length_of(const Value& value);
/// len(), or an Error.
int64_t length(const Value& value);

/// Python's x[key]; nothing where it raises a LookupError or a TypeError.
std::optional<Value> item_of(Runtime& runtime, const Value& value, const Value& key);
/// x[start:stop:step].
Value slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
            const Value& step);

/// iter(); nothing for what cannot be gone through.
std::optional<Ref<Iterator>> iterator_of(Runtime& runtime, const Value& value);
/// iter(), or an Error.
Ref<Iterator> iterate(Runtime& runtime, const Value& value);
/// list(), or an Error.
std::vector<Value> items_of(Runtime& runtime, const Value& value);
/// The same from the last to the first; nothing for what reversed() does not take.
std::optional<std::vector<Value>> reversed_items(Runtime& runtime, const Value& value);
/// An iterator over a list of values.
Value iterator_over(Runtime& runtime, std::vector<Value> items);

/// The code points [first, last) of a string.
Value substring(Runtime& runtime, const StringObject& string, size_t first, size_t last);

/// An integer argument, or an Error that names what needs it.
int64_t require_integer(const Value& value);

}  // namespace elastikv::jinja
