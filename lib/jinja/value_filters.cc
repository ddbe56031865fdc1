// Filters about numbers and single values.

#include <algorithm>
#include <cmath>

#include "jinja/arguments.h"
#include "jinja/attributes.h"
#include "jinja/filters.h"
#include "jinja/format_spec.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

Value abs_filter(Runtime& /*runtime*/, const Value& input, Arguments& arguments) {
  const Bound bound("abs", arguments, {});
  require_defined(input);
  if (input.is(Kind::kFloat)) return Value::number(std::abs(input.as_float()));
  if (!input.is_integral()) fail("bad operand type for abs(): '{}'", type_name(input));
  return input.as_integer() < 0 ? negative(input) : Value::integer(input.as_integer());
}

Value attr_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("attr", arguments, {"name"}, 1);
  const std::string& name = bound.text(0);
  if (auto attribute = attribute_of(runtime, input, name)) return *attribute;
  return runtime.undefined(fmt::format("'{}' has no attribute {}", described_type(input),
                                       repr_text(name.substr(0, 100))));
}

Value default_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("default", arguments, {"default_value", "boolean"});
  if (input.is_undefined() || (bound.truth(1, false) && !truth(input))) {
    return bound.has(0) ? bound[0] : runtime.string("");
  }
  return input;
}

Value float_filter(Runtime& /*runtime*/, const Value& input, Arguments& arguments) {
  const Bound bound("float", arguments, {"default"});
  require_defined(input);
  if (input.is_numeric()) return Value::number(input.as_number());
  if (input.is_string()) {
    if (const auto number = parse_float(input.as<StringObject>().text())) {
      return Value::number(*number);
    }
  }
  return bound.value(0, Value::number(0));
}

Value int_filter(Runtime& /*runtime*/, const Value& input, Arguments& arguments) {
  const Bound bound("int", arguments, {"default", "base"});
  require_defined(input);
  if (input.is_integral()) return Value::integer(input.as_integer());
  if (input.is(Kind::kFloat)) {
    if (std::isnan(input.as_float())) return bound.value(0, Value::integer(0));
    return Value::integer(integer_of_float(input.as_float()));
  }
  if (input.is_string()) {
    const std::string& text = input.as<StringObject>().text();
    const int64_t base = bound.integer(1, 10);
    if (base == 0 || (base >= 2 && base <= 36)) {
      if (const auto number = parse_integer(text, base)) return Value::integer(*number);
    }
    const auto number = parse_float(text);
    if (number && std::isfinite(*number)) return Value::integer(integer_of_float(*number));
  }
  return bound.value(0, Value::integer(0));
}

/// The decimal digits of |number| to the left and to the right of its point, all of them.
std::pair<std::string, std::string> exact_digits(double number) {
  constexpr int kMostDecimals = 1080;
  const std::string all = float_digits(std::abs(number), 'f', kMostDecimals, false);
  const size_t point = all.find('.');
  return {all.substr(0, point), all.substr(point + 1)};
}

/// round(number, -places): to a power of ten, halves to the even one.
double round_to_power(double number, int64_t places) {
  const auto [whole, decimals] = exact_digits(number);
  if (places > static_cast<int64_t>(whole.size())) return std::copysign(0.0, number);
  const std::string padded = "0" + whole;
  const size_t kept = padded.size() - static_cast<size_t>(places);
  const std::string rest = padded.substr(kept) + decimals;
  std::string digits = padded.substr(0, kept);
  const bool above =
      rest[0] > '5' || (rest[0] == '5' && rest.find_first_not_of('0', 1) != std::string::npos);
  const bool half = rest[0] == '5' && !above;
  if (above || (half && (digits.back() - '0') % 2 == 1)) {
    size_t at = digits.size();
    while (digits[--at] == '9') digits[at] = '0';
    ++digits[at];
  }
  const double rounded = std::strtod((digits + "e" + std::to_string(places)).c_str(), nullptr);
  return std::copysign(rounded, number);
}

int64_t power_of_ten(int64_t exponent) {
  int64_t power = 1;
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(power, int64_t{10}, &power)) fail("an integer does not fit 64 bits");
  }
  return power;
}

Value round_integer(int64_t number, int64_t places) {
  if (places > 18) return Value::integer(0);
  const int64_t unit = power_of_ten(places);
  int64_t quotient = number / unit;
  const int64_t rest = std::abs(number % unit);
  if (rest * 2 > unit || (unit > 1 && rest * 2 == unit && quotient % 2 != 0)) {
    quotient += number < 0 ? -1 : 1;
  }
  int64_t rounded = 0;
  if (__builtin_mul_overflow(quotient, unit, &rounded)) fail("an integer does not fit 64 bits");
  return Value::integer(rounded);
}

Value round_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("round", arguments, {"precision", "method"});
  const std::string method = bound.has(1) ? bound.text(1) : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    fail("method must be common, ceil or floor");
  }
  require_defined(input);
  if (!input.is_numeric()) fail("type {} doesn't define __round__ method", type_name(input));
  if (method == "common") {
    if (bound.has(0) && bound[0].is_none()) {
      if (input.is_integral()) return Value::integer(input.as_integer());
      const double number = input.as_float();
      return Value::integer(
          integer_of_float(std::isfinite(number) ? std::nearbyint(number) : number));
    }
    const int64_t precision = bound.integer(0, 0);
    if (input.is_integral()) {
      return precision >= 0
                 ? Value::integer(input.as_integer())
                 : round_integer(input.as_integer(), -std::max<int64_t>(precision, -400));
    }
    const double number = input.as_float();
    constexpr int64_t kMostPrecision = 323;
    if (!std::isfinite(number) || precision > kMostPrecision) return input;
    if (precision < 0) {
      const double rounded = round_to_power(number, std::min<int64_t>(-precision, 400));
      if (std::isinf(rounded)) fail("rounded value too large to represent");
      return Value::number(rounded);
    }
    return Value::number(std::strtod(
        fmt::format("{}{}", std::signbit(number) ? "-" : "",
                    float_digits(std::abs(number), 'f', static_cast<int>(precision), false))
            .c_str(),
        nullptr));
  }
  const Value scale =
      arithmetic(runtime, "**", Value::integer(10), bound.value(0, Value::integer(0)));
  const Value scaled = arithmetic(runtime, "*", input, scale);
  const double number = scaled.as_number();
  const Value whole = scaled.is_integral()
                          ? scaled
                          : Value::integer(integer_of_float(method == "ceil" ? std::ceil(number)
                                                                             : std::floor(number)));
  return arithmetic(runtime, "/", whole, scale);
}

std::string file_size(double bytes, bool binary) {
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return "1 Byte";
  if (bytes < base) return fmt::format("{} Bytes", integer_of_float(bytes));
  double unit = base;
  size_t prefix = 0;
  do {
    unit *= base;
  } while (bytes >= unit && ++prefix < kPrefixes.size());
  prefix = std::min(prefix, kPrefixes.size() - 1);
  const char letter = binary && prefix == 0 ? 'K' : kPrefixes[prefix];
  return fmt::format("{:.1f} {}{}B", base * bytes / unit, letter, binary ? "i" : "");
}

Value filesizeformat_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("filesizeformat", arguments, {"binary"});
  require_defined(input);
  std::optional<double> given;
  if (input.is_numeric()) given = input.as_number();
  if (input.is_string()) given = parse_float(input.as<StringObject>().text());
  if (!given) fail("could not convert {} to float", type_name(input));
  return runtime.string(file_size(*given, bound.truth(0, false)));
}

/// Dicts by their keys in order, all the way down: what pprint writes.
Value sorted_dicts(Runtime& runtime, const Value& value) {
  const Runtime::Level level(runtime);
  if (value.is(Kind::kDict)) {
    std::vector<Entries::Entry> entries(value.as<DictObject>().entries.begin(),
                                        value.as<DictObject>().entries.end());
    std::stable_sort(entries.begin(), entries.end(), [&](const auto& one, const auto& other) {
      return less(runtime, one.first, other.first);
    });
    Entries sorted;
    for (const auto& [key, item] : entries) sorted.set(runtime, key, sorted_dicts(runtime, item));
    return runtime.dict(std::move(sorted));
  }
  if (value.is(Kind::kList) || value.is(Kind::kTuple)) {
    std::vector<Value> items;
    for (const Value& item : value.as<ListObject>().items) {
      items.push_back(sorted_dicts(runtime, item));
    }
    return value.is(Kind::kList) ? runtime.list(std::move(items)) : runtime.tuple(std::move(items));
  }
  return value;
}

Value pprint_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("pprint", arguments, {});
  constexpr size_t kLine = 80;
  std::string text = repr(runtime, sorted_dicts(runtime, input));
  const bool can_wrap = input.is_string() || length_of(input).has_value();
  if (can_wrap && text.size() > kLine) {
    fail("pprint of what does not fit a line of {} characters is not supported", kLine);
  }
  return runtime.string(std::move(text));
}

Value random_filter(Runtime& /*runtime*/, const Value& /*input*/, Arguments& /*arguments*/) {
  fail("the filter random is not supported: a prompt must not depend on chance");
}

Value urlize_filter(Runtime& /*runtime*/, const Value& /*input*/, Arguments& /*arguments*/) {
  fail("the filter urlize is not supported");
}

}  // namespace

const Named<Filter>& value_filters() {
  static const Named<Filter> filters{
      {"abs", abs_filter},
      {"attr", attr_filter},
      {"d", default_filter},
      {"default", default_filter},
      {"filesizeformat", filesizeformat_filter},
      {"float", float_filter},
      {"int", int_filter},
      {"pprint", pprint_filter},
      {"random", random_filter},
      {"round", round_filter},
      {"urlize", urlize_filter},
  };
  return filters;
}

}  // namespace elastikv::jinja
