// Python's arithmetic, with integers of 64 bits.

#include <cmath>
#include <limits>

#include "jinja/operators.h"
#include "jinja/printf_format.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

[[noreturn]] void fail_overflow() { fail("an integer does not fit 64 bits"); }

[[noreturn]] void fail_operands(std::string_view symbol, const Value& left, const Value& right) {
  fail("unsupported operand type(s) for {}: '{}' and '{}'", symbol, type_name(left),
       type_name(right));
}

Value add_integers(int64_t left, int64_t right) {
  int64_t sum = 0;
  if (__builtin_add_overflow(left, right, &sum)) fail_overflow();
  return Value::integer(sum);
}

Value subtract_integers(int64_t left, int64_t right) {
  int64_t difference = 0;
  if (__builtin_sub_overflow(left, right, &difference)) fail_overflow();
  return Value::integer(difference);
}

int64_t multiply_integers(int64_t left, int64_t right) {
  int64_t product = 0;
  if (__builtin_mul_overflow(left, right, &product)) fail_overflow();
  return product;
}

Value raise_integer(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) fail("0.0 cannot be raised to a negative power");
    return Value::number(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t power = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0) power = multiply_integers(power, base);
    exponent >>= 1;
    if (exponent > 0) base = multiply_integers(base, base);
  }
  return Value::integer(power);
}

Value raise_number(double base, double exponent) {
  if (base == 0 && exponent < 0) fail("0.0 cannot be raised to a negative power");
  if (base < 0 && std::isfinite(base) && std::isfinite(exponent) &&
      exponent != std::floor(exponent)) {
    fail("the result is a complex number");
  }
  const double power = std::pow(base, exponent);
  if (std::isinf(power) && std::isfinite(base) && std::isfinite(exponent)) {
    fail("(34, 'Numerical result out of range')");
  }
  return Value::number(power);
}

int64_t floor_divide(int64_t left, int64_t right) {
  if (right == -1) return subtract_integers(0, left).as_integer();
  const int64_t quotient = left / right;
  return quotient - (left % right != 0 && (left < 0) != (right < 0) ? 1 : 0);
}

int64_t modulo(int64_t left, int64_t right) {
  if (right == -1) return 0;
  const int64_t rest = left % right;
  return rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest;
}

/// Python's float_divmod: the rest has the sign of the divisor.
double modulo(double left, double right) {
  double rest = std::fmod(left, right);
  if (rest == 0) return std::copysign(0.0, right);
  if ((right < 0) != (rest < 0)) rest += right;
  return rest;
}

double floor_divide(double left, double right) {
  double rest = std::fmod(left, right);
  double quotient = (left - rest) / right;
  if (rest != 0 && (right < 0) != (rest < 0)) quotient -= 1.0;
  if (quotient == 0) return std::copysign(0.0, left / right);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

Value integer_arithmetic(std::string_view symbol, int64_t left, int64_t right) {
  if (symbol == "+") return add_integers(left, right);
  if (symbol == "-") return subtract_integers(left, right);
  if (symbol == "*") return Value::integer(multiply_integers(left, right));
  if (symbol == "**") return raise_integer(left, right);
  if (right == 0) {
    fail("{}", symbol == "/" ? "division by zero" : "integer division or modulo by zero");
  }
  if (symbol == "/") {
    return Value::number(
        static_cast<double>(static_cast<long double>(left) / static_cast<long double>(right)));
  }
  return Value::integer(symbol == "//" ? floor_divide(left, right) : modulo(left, right));
}

Value float_arithmetic(std::string_view symbol, double left, double right) {
  if (symbol == "+") return Value::number(left + right);
  if (symbol == "-") return Value::number(left - right);
  if (symbol == "*") return Value::number(left * right);
  if (symbol == "**") return raise_number(left, right);
  if (right == 0)
    fail("float {} by zero", symbol == "/"    ? "division"
                             : symbol == "//" ? "floor division"
                                              : "modulo");
  if (symbol == "/") return Value::number(left / right);
  return Value::number(symbol == "//" ? floor_divide(left, right) : modulo(left, right));
}

Value add_strings(Runtime& runtime, const Value& left, const Value& right) {
  const auto& one = left.as<StringObject>();
  const auto& other = right.as<StringObject>();
  const bool markup = one.markup() || other.markup();
  const auto escaped = [&](const StringObject& part) {
    return markup && !part.markup() ? escape_html(part.text()) : part.text();
  };
  if (!markup) {
    runtime.require_room(one.text().size() + other.text().size());
    std::string sum;
    sum.reserve(one.text().size() + other.text().size());
    sum += one.text();
    sum += other.text();
    return runtime.string(std::move(sum));
  }
  TextBuilder sum(runtime);
  sum += escaped(one);
  sum += escaped(other);
  return runtime.string(sum.take(), markup);
}

Value repeat(Runtime& runtime, const Value& value, int64_t count) {
  const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
  if (value.is_string()) {
    const auto& string = value.as<StringObject>();
    TextBuilder text(runtime);
    text.repeat(string.text(), times);
    return runtime.string(text.take(), string.markup());
  }
  const auto& items = value.as<ListObject>().items;
  std::vector<Value> repeated;
  if (!items.empty() && times > 0) {
    constexpr size_t kMost = size_t{1} << 50;
    const bool countless = times > kMost / items.size();
    runtime.require_room((countless ? kMost : times * items.size()) * sizeof(Value));
    runtime.step(static_cast<int64_t>(times * items.size()));
    repeated.reserve(times * items.size());
    for (size_t i = 0; i < times; ++i) repeated.insert(repeated.end(), items.begin(), items.end());
  }
  return value.is(Kind::kList) ? runtime.list(std::move(repeated))
                               : runtime.tuple(std::move(repeated));
}

bool is_sequence(const Value& value) {
  return value.is_string() || value.is(Kind::kList) || value.is(Kind::kTuple);
}

}  // namespace

Value arithmetic(Runtime& runtime, std::string_view symbol, const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral()) {
    return integer_arithmetic(symbol, left.as_integer(), right.as_integer());
  }
  if (left.is_numeric() && right.is_numeric()) {
    return float_arithmetic(symbol, left.as_number(), right.as_number());
  }
  if (left.is_string() && symbol == "%") return printf_format(runtime, left, right);
  require_defined(left);
  require_defined(right);
  if (symbol == "+") {
    if (left.is_string() && right.is_string()) return add_strings(runtime, left, right);
    if (is_sequence(left) && !left.is_string() && left.kind() == right.kind()) {
      std::vector<Value> items = items_of(runtime, left);
      const auto& more = right.as<ListObject>().items;
      runtime.require_room((items.size() + more.size()) * sizeof(Value));
      items.insert(items.end(), more.begin(), more.end());
      return left.is(Kind::kList) ? runtime.list(std::move(items))
                                  : runtime.tuple(std::move(items));
    }
    if (left.is_string()) {
      fail("can only concatenate str (not \"{}\") to str", type_name(right));
    }
    if (is_sequence(left)) {
      fail("can only concatenate {0} (not \"{1}\") to {0}", type_name(left), type_name(right));
    }
  }
  if (symbol == "*") {
    if (is_sequence(left) && right.is_integral()) return repeat(runtime, left, right.as_integer());
    if (is_sequence(right) && left.is_integral()) return repeat(runtime, right, left.as_integer());
    if (is_sequence(left) || is_sequence(right)) {
      fail("can't multiply sequence by non-int of type '{}'",
           type_name(is_sequence(left) ? right : left));
    }
  }
  if (symbol == "-" && left.is(Kind::kView)) fail("sets are not supported");
  fail_operands(symbol == "**" ? "** or pow()" : symbol, left, right);
}

Value negative(const Value& value) {
  require_defined(value);
  if (value.is_integral()) return subtract_integers(0, value.as_integer());
  if (value.is(Kind::kFloat)) return Value::number(-value.as_float());
  fail("bad operand type for unary -: '{}'", type_name(value));
}

Value positive(const Value& value) {
  require_defined(value);
  if (value.is_integral()) return Value::integer(value.as_integer());
  if (value.is(Kind::kFloat)) return value;
  fail("bad operand type for unary +: '{}'", type_name(value));
}

}  // namespace elastikv::jinja
