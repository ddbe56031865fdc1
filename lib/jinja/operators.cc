#include "jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "jinja/characters.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

bool is_sequence(const Value& value) { return value.is(Kind::kList) || value.is(Kind::kTuple); }

/// -1, 0 or 1; 2 for what is not ordered (NaN). Exact, also between integers and floats: a long
/// double holds every integer of 64 bits.
int compare_numbers(const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral()) {
    return left.as_integer() < right.as_integer() ? -1 : left.as_integer() > right.as_integer();
  }
  const auto number = [](const Value& value) {
    return value.is(Kind::kFloat) ? static_cast<long double>(value.as_float())
                                  : static_cast<long double>(value.as_integer());
  };
  const long double one = number(left);
  const long double other = number(right);
  if (one < other) return -1;
  if (one > other) return 1;
  return one == other ? 0 : 2;
}

bool equal_dicts(Runtime& runtime, const Entries& left, const Entries& right) {
  if (left.size() != right.size()) return false;
  for (const auto& [key, value] : left) {
    const Value* other = right.find(runtime, key);
    if (other == nullptr || !equal(runtime, value, *other)) return false;
  }
  return true;
}

bool equal_items(Runtime& runtime, const std::vector<Value>& left,
                 const std::vector<Value>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [&](const Value& a, const Value& b) { return equal(runtime, a, b); });
}

[[noreturn]] void fail_order(std::string_view symbol, const Value& left, const Value& right) {
  fail("'{}' not supported between instances of '{}' and '{}'", symbol, type_name(left),
       type_name(right));
}

}  // namespace

void fail_undefined(const Value& value) { fail("{}", value.as<UndefinedObject>().message); }

void require_defined(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
}

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBoolean:
    case Kind::kInteger:
      return value.as_integer() != 0;
    case Kind::kFloat:
      return value.as_float() != 0;
    default:
      // A loop has a length, but only within itself, where that is not 0.
      return value.is(Kind::kLoop) || length_of(value).value_or(1) != 0;
  }
}

bool equal(Runtime& runtime, const Value& left, const Value& right) {
  runtime.step();
  if (left.is_numeric() && right.is_numeric()) return compare_numbers(left, right) == 0;
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString: {
      const std::string& one = left.as<StringObject>().text();
      const std::string& other = right.as<StringObject>().text();
      if (one.size() != other.size()) return false;
      runtime.step(static_cast<int64_t>(one.size() / 1024));
      return one == other;
    }
    case Kind::kList:
    case Kind::kTuple:
      return left.object() == right.object() ||
             equal_items(runtime, left.as<ListObject>().items, right.as<ListObject>().items);
    case Kind::kDict:
      return left.object() == right.object() ||
             equal_dicts(runtime, left.as<DictObject>().entries, right.as<DictObject>().entries);
    case Kind::kRange: {
      const auto& one = left.as<RangeObject>();
      const auto& other = right.as<RangeObject>();
      if (one.length != other.length) return false;
      return one.length == 0 ||
             (one.start == other.start && (one.length == 1 || one.step == other.step));
    }
    case Kind::kView: {
      const auto& one = left.as<ViewObject>();
      const auto& other = right.as<ViewObject>();
      if (one.part != other.part || one.part == ViewObject::Part::kValues) return &one == &other;
      const Entries& entries = one.dict.as<DictObject>().entries;
      const Entries& others = other.dict.as<DictObject>().entries;
      if (one.part == ViewObject::Part::kItems) return equal_dicts(runtime, entries, others);
      if (entries.size() != others.size()) return false;
      return std::all_of(entries.begin(), entries.end(), [&](const auto& entry) {
        return others.find(runtime, entry.first) != nullptr;
      });
    }
    case Kind::kMethod: {
      const auto& one = left.as<MethodObject>();
      const auto& other = right.as<MethodObject>();
      return one.method == other.method && one.name == other.name &&
             one.self.object() == other.self.object();
    }
    default:
      return left.object() == right.object();
  }
}

bool less(Runtime& runtime, const Value& left, const Value& right, std::string_view symbol) {
  return compare(runtime, symbol, left, right);
}

bool compare(Runtime& runtime, std::string_view symbol, const Value& left, const Value& right) {
  if (symbol == "==") return equal(runtime, left, right);
  if (symbol == "!=") return !equal(runtime, left, right);
  const Runtime::Level level(runtime);
  runtime.step();
  require_defined(left);
  require_defined(right);
  const bool or_equal = symbol.size() == 2;
  const auto holds = [&](int order) {
    if (order == 0) return or_equal;
    return order == (symbol[0] == '<' ? -1 : 1);
  };
  if (left.is_numeric() && right.is_numeric()) return holds(compare_numbers(left, right));
  if (left.is_string() && right.is_string()) {
    // Bytes of UTF-8 are in the order of the code points.
    const std::string& one = left.as<StringObject>().text();
    const std::string& other = right.as<StringObject>().text();
    runtime.step(static_cast<int64_t>(std::min(one.size(), other.size()) / 1024));
    const int order = one.compare(other);
    return holds(order < 0 ? -1 : order > 0);
  }
  if (is_sequence(left) && left.kind() == right.kind()) {
    const auto& one = left.as<ListObject>().items;
    const auto& other = right.as<ListObject>().items;
    for (size_t i = 0; i < std::min(one.size(), other.size()); ++i) {
      if (!equal(runtime, one[i], other[i])) return compare(runtime, symbol, one[i], other[i]);
    }
    return holds(one.size() < other.size() ? -1 : one.size() > other.size());
  }
  fail_order(symbol, left, right);
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString: {
      if (!item.is_string()) {
        fail("'in <string>' requires string as left operand, not {}", type_name(item));
      }
      const std::string& text = container.as<StringObject>().text();
      runtime.step_bytes(text.size());
      return find_text(text, item.as<StringObject>().text()) != std::string::npos;
    }
    case Kind::kDict:
      return container.as<DictObject>().entries.find(runtime, item) != nullptr;
    case Kind::kView: {
      const auto& view = container.as<ViewObject>();
      const Entries& entries = view.dict.as<DictObject>().entries;
      if (view.part == ViewObject::Part::kKeys) return entries.find(runtime, item) != nullptr;
      if (view.part == ViewObject::Part::kItems) {
        if (!item.is(Kind::kTuple) || item.as<ListObject>().items.size() != 2) return false;
        const auto& pair = item.as<ListObject>().items;
        const Value* value = entries.find(runtime, pair[0]);
        return value != nullptr && equal(runtime, *value, pair[1]);
      }
      break;
    }
    case Kind::kRange:
      if (item.is_numeric()) {
        const auto& range = container.as<RangeObject>();
        const double number = item.as_number();
        if (item.is(Kind::kFloat) && (number != std::floor(number) || std::abs(number) > 0x1p62))
          return false;
        const int64_t whole =
            item.is(Kind::kFloat) ? static_cast<int64_t>(number) : item.as_integer();
        if (range.length == 0) return false;
        const int64_t last = range.at(range.length - 1);
        if (whole < std::min(range.start, last) || whole > std::max(range.start, last))
          return false;
        return (whole - range.start) % range.step == 0;
      }
      break;
    default:
      break;
  }
  const auto items = iterator_of(runtime, container);
  if (!items) fail("argument of type '{}' is not iterable", type_name(container));
  Value each;
  while ((*items)->next(runtime, each)) {
    if (equal(runtime, each, item)) return true;
  }
  return false;
}

std::optional<int64_t> length_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kMissing:
      return 0;
    case Kind::kString:
      return static_cast<int64_t>(value.as<StringObject>().length());
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.as<ListObject>().items.size());
    case Kind::kDict:
      return static_cast<int64_t>(value.as<DictObject>().entries.size());
    case Kind::kRange:
      return value.as<RangeObject>().length;
    case Kind::kView:
      return length_of(value.as<ViewObject>().dict);
    default:
      return std::nullopt;
  }
}

int64_t length(const Value& value) {
  const auto count = length_of(value);
  if (!count) fail("object of type '{}' has no len()", type_name(value));
  return *count;
}

std::optional<Value> item_of(Runtime& runtime, const Value& value, const Value& key) {
  switch (value.kind()) {
    case Kind::kUndefined:
      fail_undefined(value);
    case Kind::kDict: {
      if (!hash_of(runtime, key)) return std::nullopt;
      const Value* found = value.as<DictObject>().entries.find(runtime, key);
      return found == nullptr ? std::nullopt : std::optional(*found);
    }
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      if (!key.is_integral()) return std::nullopt;
      const int64_t count = length(value);
      const int64_t index = key.as_integer() < 0 ? key.as_integer() + count : key.as_integer();
      if (index < 0 || index >= count) return std::nullopt;
      const auto at = static_cast<size_t>(index);
      if (value.is_string()) return substring(runtime, value.as<StringObject>(), at, at + 1);
      if (value.is(Kind::kRange)) return Value::integer(value.as<RangeObject>().at(index));
      return value.as<ListObject>().items[at];
    }
    default:
      return std::nullopt;
  }
}

Value substring(Runtime& runtime, const StringObject& string, size_t first, size_t last) {
  const size_t begin = string.offset(first);
  const size_t end = string.offset(std::max(first, last));
  return runtime.string(string.text().substr(begin, end - begin), string.markup());
}

Value slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
            const Value& step) {
  require_defined(value);
  if (!value.is_string() && !is_sequence(value) && !value.is(Kind::kRange)) {
    fail("'{}' object is not subscriptable", type_name(value));
  }
  const auto bound = [](const Value& given, int64_t otherwise) {
    if (given.is_none()) return otherwise;
    if (!given.is_integral()) {
      fail("slice indices must be integers or None or have an __index__ method");
    }
    return given.as_integer();
  };
  const int64_t count = length(value);
  const int64_t stride = std::max(bound(step, 1), -INT64_MAX);
  if (stride == 0) fail("slice step cannot be zero");
  // The bounds as Python's slice.indices gives them.
  const int64_t low = stride < 0 ? -1 : 0;
  const int64_t high = stride < 0 ? count - 1 : count;
  const auto clamp = [&](const Value& given, int64_t otherwise) {
    if (given.is_none()) return otherwise;
    const int64_t index = bound(given, 0);
    return index < 0 ? std::max(index + count, low) : std::min(index, high);
  };
  const int64_t first = clamp(start, stride < 0 ? high : low);
  const int64_t last = clamp(stop, stride < 0 ? low : high);
  const auto distance = static_cast<uint64_t>(stride < 0 ? first - last : last - first);
  const auto pace = static_cast<uint64_t>(stride < 0 ? -stride : stride);
  const bool empty = stride < 0 ? last >= first : first >= last;
  const auto taken = static_cast<int64_t>(empty ? 0 : (distance - 1) / pace + 1);
  runtime.step(taken / 16);
  if (value.is(Kind::kRange)) {
    const auto& range = value.as<RangeObject>();
    auto part = runtime.make<RangeObject>(0);
    part->start = range.start + first * range.step;
    part->step = range.step * stride;
    part->stop = range.start + last * range.step;
    part->length = taken;
    return {Kind::kRange, part};
  }
  if (value.is_string()) {
    const auto& string = value.as<StringObject>();
    if (stride == 1) {
      return substring(runtime, string, static_cast<size_t>(first),
                       static_cast<size_t>(first + taken));
    }
    TextBuilder text(runtime);
    for (int64_t i = 0; i < taken; ++i) {
      const size_t at = string.offset(static_cast<size_t>(first + i * stride));
      text += std::string_view(string.text()).substr(at, character_size(string.text()[at]));
    }
    return runtime.string(text.take(), string.markup());
  }
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(taken));
  for (int64_t i = 0; i < taken; ++i) {
    items.push_back(value.as<ListObject>().items[static_cast<size_t>(first + i * stride)]);
  }
  return value.is(Kind::kList) ? runtime.list(std::move(items)) : runtime.tuple(std::move(items));
}

int64_t require_integer(const Value& value) {
  require_defined(value);
  if (!value.is_integral()) {
    fail("'{}' object cannot be interpreted as an integer", type_name(value));
  }
  return value.as_integer();
}

}  // namespace elastikv::jinja
