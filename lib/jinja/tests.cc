// What stands behind `is`.

#include "jinja/arguments.h"
#include "jinja/attributes.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/text_tools.h"

namespace elastikv::jinja {
namespace {

template <bool (*holds)(const Value&)>
bool about_value(Runtime& /*runtime*/, const Value& input, Arguments& arguments) {
  const Bound bound("test", arguments, {});
  return holds(input);
}

bool is_defined(const Value& value) { return !value.is_undefined(); }
bool is_undefined(const Value& value) { return value.is_undefined(); }
bool is_none(const Value& value) { return value.is_none(); }
bool is_boolean(const Value& value) { return value.is(Kind::kBoolean); }
bool is_true(const Value& value) { return value.is(Kind::kBoolean) && value.as_boolean(); }
bool is_false(const Value& value) { return value.is(Kind::kBoolean) && !value.as_boolean(); }
bool is_integer(const Value& value) { return value.is(Kind::kInteger); }
bool is_float(const Value& value) { return value.is(Kind::kFloat); }
bool is_number(const Value& value) { return value.is_numeric(); }
bool is_string(const Value& value) { return value.is_string(); }
bool is_mapping(const Value& value) { return value.is(Kind::kDict); }
bool is_escaped(const Value& value) {
  return value.is_string() && value.as<StringObject>().markup();
}
bool is_sequence(const Value& value) {
  return value.is_undefined() || value.is_string() || value.is(Kind::kList) ||
         value.is(Kind::kTuple) || value.is(Kind::kDict) || value.is(Kind::kRange);
}
bool is_iterable(const Value& value) {
  return is_sequence(value) || value.is(Kind::kView) || value.is(Kind::kIterator) ||
         value.is(Kind::kLoop);
}

/// The rest of dividing by a number, as `%` gives it.
bool is_rest(Runtime& runtime, const Value& input, const Value& divisor, int64_t rest) {
  return equal(runtime, arithmetic(runtime, "%", input, divisor), Value::integer(rest));
}

template <int64_t rest>
bool parity(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("even", arguments, {});
  return is_rest(runtime, input, Value::integer(2), rest);
}

bool divisible(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("divisibleby", arguments, {"num"}, 1);
  return is_rest(runtime, input, bound[0], 0);
}

template <bool lower_case>
bool has_case(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("lower", arguments, {});
  const std::string text = to_text(runtime, input);
  return lower_case ? is_lower_text(runtime, text) : is_upper_text(runtime, text);
}

bool is_same(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("sameas", arguments, {"other"}, 1);
  const Value& other = bound[0];
  if (input.kind() != other.kind()) return false;
  switch (input.kind()) {
    case Kind::kNone:
      return true;
    case Kind::kBoolean:
    case Kind::kInteger:
    case Kind::kFloat:
    case Kind::kString:
      return equal(runtime, input, other);
    default:
      return input.object() == other.object();
  }
}

bool is_in(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("in", arguments, {"seq"}, 1);
  return contains(runtime, bound[0], input);
}

bool callable(Runtime& /*runtime*/, const Value& input, Arguments& arguments) {
  const Bound bound("callable", arguments, {});
  return is_callable(input);
}

/// Whether something of this name is known; Error for what cannot be a name.
template <typename Find>
bool known(Runtime& runtime, const Value& input, Arguments& arguments, Find find) {
  const Bound bound("filter", arguments, {});
  if (!hash_of(runtime, input)) fail("unhashable type: '{}'", type_name(input));
  return input.is_string() && find(input.as<StringObject>().text()) != nullptr;
}

bool is_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  return known(runtime, input, arguments, find_filter);
}

bool is_test(Runtime& runtime, const Value& input, Arguments& arguments) {
  return known(runtime, input, arguments, find_test);
}

struct Symbol {
  static constexpr char kEqual[] = "==";
  static constexpr char kUnequal[] = "!=";
  static constexpr char kLess[] = "<";
  static constexpr char kAtMost[] = "<=";
  static constexpr char kGreater[] = ">";
  static constexpr char kAtLeast[] = ">=";
};

template <const char* symbol>
bool compared(Runtime& runtime, const Value& input, Arguments& arguments) {
  require_positional(symbol, arguments, 1, 1);
  return compare(runtime, symbol, input, arguments.positional[0]);
}

const Named<Test>& tests() {
  static const Named<Test> all{
      {"defined", about_value<is_defined>},
      {"undefined", about_value<is_undefined>},
      {"none", about_value<is_none>},
      {"string", about_value<is_string>},
      {"mapping", about_value<is_mapping>},
      {"iterable", about_value<is_iterable>},
      {"sequence", about_value<is_sequence>},
      {"boolean", about_value<is_boolean>},
      {"true", about_value<is_true>},
      {"false", about_value<is_false>},
      {"integer", about_value<is_integer>},
      {"float", about_value<is_float>},
      {"number", about_value<is_number>},
      {"escaped", about_value<is_escaped>},
      {"callable", callable},
      {"odd", parity<1>},
      {"even", parity<0>},
      {"divisibleby", divisible},
      {"lower", has_case<true>},
      {"upper", has_case<false>},
      {"sameas", is_same},
      {"in", is_in},
      {"filter", is_filter},
      {"test", is_test},
      {"==", compared<Symbol::kEqual>},
      {"eq", compared<Symbol::kEqual>},
      {"equalto", compared<Symbol::kEqual>},
      {"!=", compared<Symbol::kUnequal>},
      {"ne", compared<Symbol::kUnequal>},
      {"<", compared<Symbol::kLess>},
      {"lt", compared<Symbol::kLess>},
      {"lessthan", compared<Symbol::kLess>},
      {"<=", compared<Symbol::kAtMost>},
      {"le", compared<Symbol::kAtMost>},
      {">", compared<Symbol::kGreater>},
      {"gt", compared<Symbol::kGreater>},
      {"greaterthan", compared<Symbol::kGreater>},
      {">=", compared<Symbol::kAtLeast>},
      {"ge", compared<Symbol::kAtLeast>},
  };
  return all;
}

}  // namespace

Test find_test(std::string_view name) {
  for (const auto& [known_name, test] : tests()) {
    if (known_name == name) return test;
  }
  return nullptr;
}

}  // namespace elastikv::jinja
