#include "jinja/python_text.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "jinja/operators.h"

namespace elastikv::jinja {
namespace {

void append_repr(Runtime& runtime, TextBuilder& out, const Value& value);

void append_items(Runtime& runtime, TextBuilder& out, const std::vector<Value>& items) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) out += ", ";
    first = false;
    append_repr(runtime, out, item);
  }
}

void append_entries(Runtime& runtime, TextBuilder& out, const Entries& entries) {
  out += '{';
  bool first = true;
  for (const auto& [key, value] : entries) {
    if (!first) out += ", ";
    first = false;
    append_repr(runtime, out, key);
    out += ": ";
    append_repr(runtime, out, value);
  }
  out += '}';
}

void append_view(Runtime& runtime, TextBuilder& out, const ViewObject& view) {
  out += view_name(view.part);
  out += "([";
  bool first = true;
  for (const auto& [key, value] : view.dict.as<DictObject>().entries) {
    if (!first) out += ", ";
    first = false;
    if (view.part == ViewObject::Part::kItems) out += '(';
    if (view.part != ViewObject::Part::kValues) append_repr(runtime, out, key);
    if (view.part == ViewObject::Part::kItems) out += ", ";
    if (view.part != ViewObject::Part::kKeys) append_repr(runtime, out, value);
    if (view.part == ViewObject::Part::kItems) out += ')';
  }
  out += "])";
}

void append_repr(Runtime& runtime, TextBuilder& out, const Value& value) {
  const Runtime::Level level(runtime);
  runtime.step();
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      out += "Undefined";
      return;
    case Kind::kNone:
      out += "None";
      return;
    case Kind::kBoolean:
      out += value.as_boolean() ? "True" : "False";
      return;
    case Kind::kInteger:
      out += std::to_string(value.as_integer());
      return;
    case Kind::kFloat:
      out += float_text(value.as_float());
      return;
    case Kind::kString: {
      const auto& string = value.as<StringObject>();
      if (string.markup()) out += "Markup(";
      out += repr_text(string.text());
      if (string.markup()) out += ')';
      return;
    }
    case Kind::kList:
      out += '[';
      append_items(runtime, out, value.as<ListObject>().items);
      out += ']';
      return;
    case Kind::kTuple: {
      const auto& items = value.as<ListObject>().items;
      out += '(';
      append_items(runtime, out, items);
      out += items.size() == 1 ? ",)" : ")";
      return;
    }
    case Kind::kDict:
      append_entries(runtime, out, value.as<DictObject>().entries);
      return;
    case Kind::kRange: {
      const auto& range = value.as<RangeObject>();
      out += fmt::format("range({}, {}", range.start, range.stop);
      if (range.step != 1) out += fmt::format(", {}", range.step);
      out += ')';
      return;
    }
    case Kind::kView:
      append_view(runtime, out, value.as<ViewObject>());
      return;
    case Kind::kNamespace:
      out += "<Namespace ";
      append_entries(runtime, out, value.as<NamespaceObject>().entries);
      out += '>';
      return;
    case Kind::kMacro:
    case Kind::kLoop:
      out += value.as<Callable>().text();
      return;
    default:
      fail("what a {} object is written as depends on where it lies in memory", type_name(value));
  }
}

/// The text without white space at its ends and without the underscores between its digits; empty
/// where one stands elsewhere.
std::string without_underscores(std::string_view text) {
  std::string digits;
  char previous = '_';
  for (const char c : text) {
    if (c == '_') {
      if (std::isalnum(static_cast<unsigned char>(previous)) == 0) return {};
    } else {
      if (previous == '_' && !digits.empty() && std::isalnum(static_cast<unsigned char>(c)) == 0)
        return {};
      digits += c;
    }
    previous = c;
  }
  return previous == '_' ? std::string() : digits;
}

/// Decimal digits of any script as ASCII's; the text itself when all is ASCII.
std::string with_ascii_digits(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    const char32_t character = character_at(text, at);
    if (character >= 0x80 && is_decimal(character)) {
      // The digits of a script follow each other from its zero.
      char32_t zero = character;
      while (zero > character - 9 && is_decimal(zero - 1)) --zero;
      out += static_cast<char>('0' + (character - zero) % 10);
    } else {
      append_utf8(out, character);
    }
  }
  return out;
}

}  // namespace

std::string repr_text(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    const char32_t character = character_at(text, at);
    if (character == static_cast<unsigned char>(quote) || character == U'\\') {
      out += '\\';
      out += text[at];
    } else if (character == U'\n') {
      out += "\\n";
    } else if (character == U'\r') {
      out += "\\r";
    } else if (character == U'\t') {
      out += "\\t";
    } else if (is_printable(character)) {
      out += text.substr(at, character_size(text[at]));
    } else if (character < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(character));
    } else if (character < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(character));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(character));
    }
  }
  return out += quote;
}

std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto [end, problem] =
      std::to_chars(std::begin(buffer), std::end(buffer), number, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(),
                  exponent);
  std::string out;
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c == '-') {
      out += c;
    } else if (c != '.') {
      digits += c;
    }
  }
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1) out.append(1, '.').append(digits, 1);
    return out + fmt::format("e{}{:02d}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0)
    return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1) {
    return out + digits +
           std::string(static_cast<size_t>(exponent) + 1 - static_cast<size_t>(count), '0') + ".0";
  }
  const size_t whole = static_cast<size_t>(exponent) + 1;
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string repr(Runtime& runtime, const Value& value) {
  TextBuilder out(runtime);
  append_repr(runtime, out, value);
  return out.take();
}

void append_text(Runtime& runtime, TextBuilder& out, const Value& value) {
  if (value.is_string()) {
    out += value.as<StringObject>().text();
  } else if (!value.is_undefined() && !value.is(Kind::kMissing)) {
    append_repr(runtime, out, value);
  }
}

std::string to_text(Runtime& runtime, const Value& value) {
  TextBuilder out(runtime);
  append_text(runtime, out, value);
  return out.take();
}

Value to_string_value(Runtime& runtime, const Value& value) {
  if (value.is_string()) return value;
  return runtime.string(to_text(runtime, value));
}

std::optional<int64_t> parse_integer(std::string_view text, int64_t base) {
  std::string whole = with_ascii_digits(strip(text));
  std::string_view rest = whole;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  const auto prefixed = [&](char letter) {
    return rest.size() > 1 && rest[0] == '0' && (rest[1] | 0x20) == letter;
  };
  int64_t radix = base;
  bool prefix = true;
  if ((base == 0 || base == 16) && prefixed('x')) {
    radix = 16;
  } else if ((base == 0 || base == 8) && prefixed('o')) {
    radix = 8;
  } else if ((base == 0 || base == 2) && prefixed('b')) {
    radix = 2;
  } else {
    prefix = false;
  }
  if (prefix) {
    rest.remove_prefix(2);
    if (!rest.empty() && rest[0] == '_') rest.remove_prefix(1);
  } else if (base == 0) {
    radix = 10;
    // "0", but no "010".
    if (rest.size() > 1 && rest[0] == '0' && rest.find_first_not_of("0_") != std::string_view::npos)
      return std::nullopt;
  }
  const std::string digits = without_underscores(rest);
  if (digits.empty()) return std::nullopt;
  uint64_t value = 0;
  const auto [end, problem] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, static_cast<int>(radix));
  if (end != digits.data() + digits.size()) return std::nullopt;
  const auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) + (negative ? 1 : 0);
  if (problem == std::errc::result_out_of_range || value > most) {
    fail("the integer {} does not fit 64 bits", repr_text(text.substr(0, 40)));
  }
  return static_cast<int64_t>(negative ? 0 - value : value);
}

std::optional<double> parse_float(std::string_view text) {
  const std::string ascii = with_ascii_digits(strip(text));
  std::string whole = without_underscores(ascii);
  std::string_view rest = whole;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest.empty() || rest[0] == '-' || rest[0] == '+') return std::nullopt;
  const std::string word = lower(rest);
  double value = 0;
  if (word == "inf" || word == "infinity") {
    value = std::numeric_limits<double>::infinity();
  } else if (word == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    if (rest.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
    const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (end != rest.data() + rest.size() || problem == std::errc::invalid_argument)
      return std::nullopt;
    if (problem == std::errc::result_out_of_range)
      value = std::strtod(std::string(rest).c_str(), nullptr);
  }
  return negative ? -value : value;
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace elastikv::jinja
