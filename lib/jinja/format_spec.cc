#include "jinja/format_spec.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

/// [[fill]align][sign][z][#][0][width][grouping][.precision][type]
struct Spec {
  std::string fill = " ";
  char align = 0;
  char sign = '-';
  bool no_negative_zero = false;
  bool alternate = false;
  int64_t width = -1;
  char grouping = 0;
  int64_t precision = -1;
  char type = 0;
};

bool is_align(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

int64_t read_number(std::string_view& rest) {
  int64_t number = 0;
  while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
    number = number * 10 + (rest[0] - '0');
    if (number > kMostWidth) fail("Too many decimal digits in format string");
    rest.remove_prefix(1);
  }
  return number;
}

Spec parse_spec(std::string_view text, const Value& value, char default_align) {
  Spec spec;
  std::string_view rest = text;
  const auto next_is = [&](std::string_view one_of) {
    return !rest.empty() && one_of.find(rest[0]) != std::string_view::npos;
  };
  const size_t first = rest.empty() ? 0 : character_size(rest[0]);
  bool filled = false;
  if (rest.size() > first && is_align(rest[first])) {
    spec.fill = rest.substr(0, first);
    spec.align = rest[first];
    rest.remove_prefix(first + 1);
    filled = true;
  } else if (!rest.empty() && is_align(rest[0])) {
    spec.align = rest[0];
    rest.remove_prefix(1);
  }
  if (next_is("+- ")) {
    spec.sign = rest[0];
    rest.remove_prefix(1);
    if (default_align == '<') fail("Sign not allowed in string format specifier");
  }
  if (next_is("z")) {
    spec.no_negative_zero = true;
    rest.remove_prefix(1);
  }
  if (next_is("#")) {
    spec.alternate = true;
    rest.remove_prefix(1);
    if (default_align == '<') fail("Alternate form (#) not allowed in string format specifier");
  }
  if (!filled && next_is("0")) {
    spec.fill.assign(1, '0');
    if (spec.align == 0 && default_align == '>') spec.align = '=';
    rest.remove_prefix(1);
  }
  if (next_is("0123456789")) spec.width = read_number(rest);
  if (next_is(",_")) {
    spec.grouping = rest[0];
    rest.remove_prefix(1);
    if (next_is(",_")) fail("Cannot specify both ',' and '_'.");
  }
  if (next_is(".")) {
    rest.remove_prefix(1);
    if (!next_is("0123456789")) fail("Format specifier missing precision");
    spec.precision = read_number(rest);
  }
  if (rest.size() > 1) {
    fail("Invalid format specifier '{}' for object of type '{}'", text, type_name(value));
  }
  if (!rest.empty()) spec.type = rest[0];
  if (spec.align == 0) spec.align = default_align;
  return spec;
}

[[noreturn]] void fail_type(const Spec& spec, const Value& value) {
  fail("Unknown format code '{}' for object of type '{}'", spec.type, type_name(value));
}

/// Digits with a separator between groups, and zeros in front until they are `width` characters.
std::string grouped(std::string_view digits, char separator, size_t size, size_t width) {
  std::string backwards;
  size_t count = 0;
  const auto put = [&](char digit) {
    if (separator != 0 && count > 0 && count % size == 0) backwards += separator;
    backwards += digit;
    ++count;
  };
  for (size_t i = digits.size(); i > 0; --i) put(digits[i - 1]);
  while (backwards.size() < width) put('0');
  return {backwards.rbegin(), backwards.rend()};
}

std::string padded(Runtime& runtime, const Spec& spec, std::string_view front,
                   std::string_view body) {
  const size_t used = front.size() + count_characters(body);
  const size_t width = spec.width < 0 ? 0 : static_cast<size_t>(spec.width);
  const size_t missing = width > used ? width - used : 0;
  const size_t left = spec.align == '>' ? missing : spec.align == '^' ? missing / 2 : 0;
  TextBuilder out(runtime);
  out.repeat(spec.fill, left);
  out += front;
  if (spec.align == '=') out.repeat(spec.fill, missing);
  out += body;
  if (spec.align != '=') out.repeat(spec.fill, missing - left);
  return out.take();
}

/// Sign, prefix and digits, with what stands behind them ("." and decimals, or "%").
std::string number_text(Runtime& runtime, const Spec& spec, bool negative, std::string_view prefix,
                        std::string_view digits, std::string_view tail, size_t group) {
  std::string front = negative ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  front += prefix;
  std::string body(digits);
  if (spec.grouping != 0) {
    size_t width = 0;
    if (spec.fill == "0" && spec.align == '=' && spec.width > 0) {
      const size_t used = front.size() + tail.size();
      const auto wanted = static_cast<size_t>(spec.width);
      width = wanted > used ? wanted - used : 0;
    }
    body = grouped(digits, spec.grouping, group, width);
  }
  body += tail;
  return padded(runtime, spec, front, body);
}

std::string format_text(Runtime& runtime, const Value& value, std::string_view text) {
  const Spec spec = parse_spec(text, value, '<');
  if (spec.type != 0 && spec.type != 's') fail_type(spec, value);
  if (spec.grouping != 0) fail("Cannot specify '{}' with 's'.", spec.grouping);
  if (spec.align == '=') fail("'=' alignment not allowed in string format specifier");
  if (spec.no_negative_zero)
    fail("Negative zero coercion (z) not allowed in string format specifier");
  std::string_view body = value.as<StringObject>().text();
  if (spec.precision >= 0) body = first_characters(body, static_cast<size_t>(spec.precision));
  return padded(runtime, spec, "", body);
}

/// Python's form of a float without a type: repr(), or the digits asked for and always a point.
std::string general_digits(double number, int64_t precision, bool alternate) {
  if (precision < 0) return float_text(number);
  if (!std::isfinite(number)) return float_digits(number, 'g', 6, false);
  const int digits = static_cast<int>(std::max<int64_t>(precision, 1));
  const std::string scientific = float_digits(number, 'e', digits - 1, false);
  const size_t e = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(e + 1));
  const bool small = exponent < -4 || exponent + 1 > digits - 1;
  std::string mantissa;
  if (small) {
    mantissa = scientific.substr(0, e);
  } else {
    mantissa = float_digits(number, 'f', std::max(digits - 1 - exponent, 0), false);
  }
  if (!alternate && mantissa.find('.') != std::string::npos) {
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.back() == '.') mantissa.pop_back();
  }
  if (small) return mantissa + scientific.substr(e);
  return mantissa.find('.') == std::string::npos ? mantissa + ".0" : mantissa;
}

std::string format_float(Runtime& runtime, const Value& value, const Spec& spec) {
  double number = value.as_number();
  constexpr std::string_view kTypes = "eEfFgGn%";
  if (spec.type != 0 && kTypes.find(spec.type) == std::string_view::npos) fail_type(spec, value);
  if (spec.precision >= 0) runtime.require_room(static_cast<size_t>(spec.precision));
  const auto precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  std::string digits;
  if (spec.type == 0) {
    digits = general_digits(std::abs(number), spec.precision, spec.alternate);
  } else if (spec.type == '%') {
    digits = float_digits(std::abs(number * 100), 'f', precision, spec.alternate) + "%";
  } else {
    digits = float_digits(std::abs(number), spec.type == 'n' ? 'g' : spec.type, precision,
                          spec.alternate);
  }
  bool negative = std::signbit(number) && !std::isnan(number);
  if (spec.no_negative_zero && digits.find_first_of("123456789i") == std::string::npos)
    negative = false;
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  return number_text(runtime, spec, negative, "", std::string_view(digits).substr(0, whole),
                     std::string_view(digits).substr(whole), 3);
}

std::string format_integer(Runtime& runtime, const Value& value, std::string_view text) {
  const Spec spec = parse_spec(text, value, '>');
  constexpr std::string_view kFloatTypes = "eEfFgG%";
  if (spec.type != 0 && kFloatTypes.find(spec.type) != std::string_view::npos) {
    return format_float(runtime, value, spec);
  }
  if (spec.precision >= 0) fail("Precision not allowed in integer format specifier");
  if (spec.no_negative_zero)
    fail(
        "Negative zero coercion (z) not allowed in format specifier with integer presentation "
        "type");
  const int64_t number = value.as_integer();
  std::string prefix;
  size_t group = 3;
  switch (spec.type) {
    case 0:
    case 'd':
    case 'n':
      if (spec.type == 'n' && spec.grouping != 0)
        fail("Cannot specify '{}' with 'n'.", spec.grouping);
      return number_text(runtime, spec, number < 0, "", digits_of(number, 'd'), "", group);
    case 'b':
    case 'o':
    case 'x':
    case 'X':
      if (spec.grouping == ',') fail("Cannot specify ',' with '{}'.", spec.type);
      if (spec.alternate) prefix = std::string("0") + spec.type;
      group = 4;
      return number_text(runtime, spec, number < 0, prefix, digits_of(number, spec.type), "",
                         group);
    case 'c':
      if (spec.sign != '-') fail("Sign not allowed with integer format specifier 'c'");
      if (spec.alternate) fail("Alternate form (#) not allowed with integer format specifier 'c'");
      if (spec.grouping != 0) fail("Cannot specify '{}' with 'c'.", spec.grouping);
      return padded(runtime, spec, "", character_text(number));
    default:
      fail_type(spec, value);
  }
}

}  // namespace

std::string digits_of(int64_t number, char letter) {
  const uint64_t magnitude =
      number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
  const int base = letter == 'b' ? 2 : letter == 'o' ? 8 : letter == 'd' ? 10 : 16;
  char buffer[64];
  const auto [end, problem] = std::to_chars(std::begin(buffer), std::end(buffer), magnitude, base);
  std::string digits(buffer, end);
  if (letter == 'X') {
    for (char& digit : digits) digit = static_cast<char>(std::toupper(digit));
  }
  return digits;
}

std::string float_digits(double number, char letter, int precision, bool alternate) {
  const bool upper_case = letter == 'E' || letter == 'F' || letter == 'G';
  if (std::isnan(number)) return upper_case ? "NAN" : "nan";
  if (std::isinf(number)) return upper_case ? "INF" : "inf";
  const char format[]{'%',
                      alternate ? '#' : '.',
                      alternate ? '.' : '*',
                      alternate ? '*' : letter,
                      alternate ? letter : '\0',
                      '\0'};
  const int size = std::snprintf(nullptr, 0, format, precision, number);
  std::string digits(static_cast<size_t>(size), '\0');
  std::snprintf(digits.data(), digits.size() + 1, format, precision, number);
  return digits;
}

int64_t integer_of_float(double number) {
  if (std::isnan(number)) fail("cannot convert float NaN to integer");
  if (std::isinf(number)) fail("cannot convert float infinity to integer");
  if (number >= 0x1p63 || number < -0x1p63) fail("an integer does not fit 64 bits");
  return static_cast<int64_t>(number);
}

std::string character_text(int64_t code) {
  if (code < 0 || code > 0x10FFFF) fail("%c arg not in range(0x110000)");
  if (code >= 0xD800 && code <= 0xDFFF) fail("a surrogate is no character");
  std::string text;
  append_utf8(text, static_cast<char32_t>(code));
  return text;
}

std::string ascii_only(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    const auto character = static_cast<uint32_t>(character_at(text, at));
    if (character < 0x80) {
      out += text[at];
    } else if (character < 0x100) {
      out += fmt::format("\\x{:02x}", character);
    } else if (character < 0x10000) {
      out += fmt::format("\\u{:04x}", character);
    } else {
      out += fmt::format("\\U{:08x}", character);
    }
  }
  return out;
}

std::string_view first_characters(std::string_view text, size_t count) {
  size_t at = 0;
  for (; count > 0 && at < text.size(); --count) at += character_size(text[at]);
  return text.substr(0, at);
}

std::string format_value(Runtime& runtime, const Value& value, std::string_view spec) {
  if (spec.empty()) return to_text(runtime, value);
  if (value.is_string()) return format_text(runtime, value, spec);
  if (value.is_integral()) return format_integer(runtime, value, spec);
  if (value.is(Kind::kFloat)) {
    return format_float(runtime, value, parse_spec(spec, value, '>'));
  }
  fail("unsupported format string passed to {}.__format__", type_name(value));
}

}  // namespace elastikv::jinja
