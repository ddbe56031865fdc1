#include "jinja/attributes.h"

#include <algorithm>
#include <array>

#include "jinja/arguments.h"
#include "jinja/characters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 8> kListChanges{"append", "clear", "pop",    "reverse",
                                                       "insert", "sort",  "extend", "remove"};
constexpr std::array<std::string_view, 5> kDictChanges{"clear", "pop", "popitem", "setdefault",
                                                       "update"};
/// What every object of Python's has, and no template may see.
constexpr std::array<std::string_view, 26> kHidden{"__class__",
                                                   "__doc__",
                                                   "__init__",
                                                   "__new__",
                                                   "__dir__",
                                                   "__eq__",
                                                   "__ne__",
                                                   "__lt__",
                                                   "__le__",
                                                   "__gt__",
                                                   "__ge__",
                                                   "__hash__",
                                                   "__repr__",
                                                   "__str__",
                                                   "__format__",
                                                   "__sizeof__",
                                                   "__reduce__",
                                                   "__reduce_ex__",
                                                   "__getattribute__",
                                                   "__setattr__",
                                                   "__delattr__",
                                                   "__subclasshook__",
                                                   "__init_subclass__",
                                                   "__len__",
                                                   "__iter__",
                                                   "__getitem__"};

/// What Python has and this program does not.
[[noreturn]] void fail_missing_method(const Value& value, std::string_view name) {
  fail("the attribute {} of '{}' is not supported", repr_text(name), type_name(value));
}

Value hidden(Runtime& runtime, const Value& value, std::string_view name) {
  return runtime.undefined(fmt::format("access to attribute {} of '{}' object is unsafe.",
                                       repr_text(name), type_name(value)));
}

Value bound_method(Runtime& runtime, const Value& self, const NamedMethod& method) {
  auto object = runtime.make<MethodObject>(0);
  object->name = method.name;
  object->method = method.method;
  object->self = self;
  return {Kind::kMethod, object};
}

std::optional<Value> method_of(Runtime& runtime, const Value& value, std::string_view name,
                               const std::vector<NamedMethod>& methods) {
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&](const NamedMethod& method) { return method.name == name; });
  if (found == methods.end()) return std::nullopt;
  return bound_method(runtime, value, *found);
}

std::optional<Value> number_attribute(Runtime& runtime, const Value& value, std::string_view name) {
  constexpr std::array<std::string_view, 7> kUnsupported{
      "to_bytes", "from_bytes", "as_integer_ratio", "bit_count", "hex", "fromhex", "bit_length"};
  if (value.is_integral()) {
    if (name == "real" || name == "numerator") return Value::integer(value.as_integer());
    if (name == "imag") return Value::integer(0);
    if (name == "denominator") return Value::integer(1);
    if (name == "hex" || name == "fromhex") return std::nullopt;
  } else {
    if (name == "real") return value;
    if (name == "imag") return Value::number(0);
    if (name != "hex" && name != "fromhex" && name != "as_integer_ratio" &&
        is_one_of(kUnsupported, name))
      return std::nullopt;
  }
  if (is_one_of(kUnsupported, name)) fail_missing_method(value, name);
  return method_of(runtime, value, name, container_methods(value.kind()));
}

std::optional<Value> range_attribute(Runtime& runtime, const Value& value, std::string_view name) {
  const auto& range = value.as<RangeObject>();
  if (name == "start") return Value::integer(range.start);
  if (name == "stop") return Value::integer(range.stop);
  if (name == "step") return Value::integer(range.step);
  return method_of(runtime, value, name, container_methods(Kind::kRange));
}

Value unreachable_attribute(Runtime& runtime, const Value& value, std::string_view name) {
  return runtime.undefined(fmt::format("'{}' has no attribute {}", described_type(value),
                                       repr_text(name.substr(0, 100))));
}

}  // namespace

std::optional<Value> attribute_of(Runtime& runtime, const Value& value, std::string_view name) {
  if (value.is_undefined()) {
    if (name.size() > 4 && name.substr(0, 2) == "__" && name.substr(name.size() - 2) == "__")
      return std::nullopt;
    fail_undefined(value);
  }
  if (value.is(Kind::kNamespace)) {
    const Value* found = value.as<NamespaceObject>().entries.find(name);
    if (found == nullptr) return std::nullopt;
    return !name.empty() && name[0] == '_' ? hidden(runtime, value, name) : *found;
  }
  if (is_one_of(kHidden, name)) return hidden(runtime, value, name);
  switch (value.kind()) {
    case Kind::kString: {
      constexpr std::array<std::string_view, 4> kUnsupported{"encode", "translate", "maketrans",
                                                             "unescape"};
      if (is_one_of(kUnsupported, name)) {
        if (name == "unescape" && !value.as<StringObject>().markup()) return std::nullopt;
        fail_missing_method(value, name);
      }
      return method_of(runtime, value, name, string_methods());
    }
    case Kind::kBoolean:
    case Kind::kInteger:
    case Kind::kFloat:
      return number_attribute(runtime, value, name);
    case Kind::kList:
      if (is_one_of(kListChanges, name)) return hidden(runtime, value, name);
      return method_of(runtime, value, name, container_methods(Kind::kList));
    case Kind::kTuple:
      if (value.as<ListObject>().group) {
        if (name == "grouper") return value.as<ListObject>().items[0];
        if (name == "list") return value.as<ListObject>().items[1];
      }
      return method_of(runtime, value, name, container_methods(Kind::kTuple));
    case Kind::kDict:
      if (is_one_of(kDictChanges, name)) return hidden(runtime, value, name);
      return method_of(runtime, value, name, container_methods(Kind::kDict));
    case Kind::kRange:
      return range_attribute(runtime, value, name);
    case Kind::kView:
      if (name == "mapping" || name == "isdisjoint") fail_missing_method(value, name);
      return std::nullopt;
    case Kind::kLoop:
    case Kind::kMacro:
      return value.as_mutable<Callable>().attribute(runtime, name);
    case Kind::kCycler: {
      const auto& cycler = value.as<CyclerObject>();
      if (name == "current") return cycler.items[cycler.position];
      if (name == "items") return runtime.tuple(cycler.items);
      if (name == "pos") return Value::integer(static_cast<int64_t>(cycler.position));
      return method_of(runtime, value, name, container_methods(Kind::kCycler));
    }
    case Kind::kJoiner: {
      const auto& joiner = value.as<JoinerObject>();
      if (name == "sep") return joiner.separator;
      if (name == "used") return Value::boolean(joiner.used);
      return std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

Value get_attribute(Runtime& runtime, const Value& value, std::string_view name) {
  if (auto attribute = attribute_of(runtime, value, name)) return *attribute;
  if (value.is_undefined()) fail_undefined(value);
  if (value.is(Kind::kDict)) {
    if (const Value* item = value.as<DictObject>().entries.find(name)) return *item;
  }
  return unreachable_attribute(runtime, value, name);
}

Value get_item(Runtime& runtime, const Value& value, const Value& key) {
  if (auto item = item_of(runtime, value, key)) return *item;
  if (!key.is_string()) {
    const bool is_plain = key.is_numeric() || key.is_none();
    return runtime.undefined(
        fmt::format("{} has no element {}", described_type(value),
                    is_plain ? repr(runtime, key) : fmt::format("of a {}", type_name(key))));
  }
  const std::string& name = key.as<StringObject>().text();
  if (auto attribute = attribute_of(runtime, value, name)) return *attribute;
  return unreachable_attribute(runtime, value, name);
}

bool is_callable(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kMacro:
    case Kind::kLoop:
    case Kind::kFunction:
    case Kind::kMethod:
    case Kind::kJoiner:
      return true;
    default:
      return false;
  }
}

Value call(Runtime& runtime, const Value& callee, Arguments& arguments) {
  switch (callee.kind()) {
    case Kind::kUndefined:
      fail_undefined(callee);
    case Kind::kMacro:
    case Kind::kLoop:
      return callee.as_mutable<Callable>().call(runtime, arguments);
    case Kind::kFunction:
      return callee.as<FunctionObject>().function(runtime, arguments);
    case Kind::kMethod: {
      const auto& method = callee.as<MethodObject>();
      return method.method(runtime, method.self, arguments);
    }
    case Kind::kJoiner: {
      require_positional("joiner", arguments, 0, 0);
      auto& joiner = callee.as_mutable<JoinerObject>();
      if (joiner.used) return joiner.separator;
      joiner.used = true;
      return runtime.string("");
    }
    default:
      fail("'{}' object is not callable", type_name(callee));
  }
}

}  // namespace elastikv::jinja
