#include "jinja/printf_format.h"

#include <cmath>

#include "jinja/characters.h"
#include "jinja/format_spec.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

struct Conversion {
  bool left = false;
  bool sign = false;
  bool blank = false;
  bool alternate = false;
  bool zeros = false;
  int64_t width = 0;
  int64_t precision = -1;
  char letter = 0;
};

class Printf {
 public:
  Printf(Runtime& runtime, const Value& format, const Value& arguments)
      : runtime_(runtime),
        string_(format.as<StringObject>()),
        format_(string_.text()),
        arguments_(arguments) {
    is_tuple_ = arguments.is(Kind::kTuple);
    is_mapping_ = arguments.is(Kind::kDict) || arguments.is(Kind::kList) ||
                  arguments.is(Kind::kRange) || arguments.is_undefined();
  }

  Value run() {
    TextBuilder out(runtime_);
    while (at_ < format_.size()) {
      const size_t percent = std::min(format_.find('%', at_), format_.size());
      out += format_.substr(at_, percent - at_);
      at_ = percent;
      if (at_ == format_.size()) break;
      ++at_;
      convert(out);
    }
    if (is_tuple_ ? next_ < arguments_.as<ListObject>().items.size() : next_ == 0 && !is_mapping_) {
      fail("not all arguments converted during string formatting");
    }
    return runtime_.string(out.take(), string_.markup());
  }

 private:
  char character() {
    if (at_ >= format_.size()) fail("incomplete format");
    return format_[at_];
  }

  Value argument() {
    if (is_tuple_) {
      const auto& items = arguments_.as<ListObject>().items;
      if (next_ >= items.size()) fail("not enough arguments for format string");
      return items[next_++];
    }
    if (next_++ > 0) fail("not enough arguments for format string");
    return arguments_;
  }

  int64_t number_in_format() {
    int64_t number = 0;
    while (at_ < format_.size() && format_[at_] >= '0' && format_[at_] <= '9') {
      number = number * 10 + (format_[at_++] - '0');
      if (number > kMostWidth) fail("width or precision too big");
    }
    return number;
  }

  int64_t star() {
    ++at_;
    const Value value = argument();
    if (!value.is_integral()) fail("* wants int");
    if (std::abs(value.as_integer()) > kMostWidth) fail("width or precision too big");
    return value.as_integer();
  }

  Value keyed() {
    if (!is_mapping_) fail("format requires a mapping");
    ++at_;
    const size_t begin = at_;
    for (int open = 1; open > 0; ++at_) {
      const char c = at_ < format_.size() ? format_[at_] : '\0';
      if (at_ >= format_.size()) fail("incomplete format key");
      open += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    const std::string_view key = format_.substr(begin, at_ - begin - 1);
    require_defined(arguments_);
    if (!arguments_.is(Kind::kDict)) {
      fail("{} indices must be integers or slices, not str", type_name(arguments_));
    }
    const Value* found = arguments_.as<DictObject>().entries.find(key);
    if (found == nullptr) fail("{}", repr_text(key));
    return *found;
  }

  void convert(TextBuilder& out) {
    Conversion conversion;
    std::optional<Value> value;
    if (character() == '(') value = keyed();
    for (bool more = true; more;) {
      switch (character()) {
        case '-':
          conversion.left = true;
          break;
        case '+':
          conversion.sign = true;
          break;
        case ' ':
          conversion.blank = true;
          break;
        case '#':
          conversion.alternate = true;
          break;
        case '0':
          conversion.zeros = true;
          break;
        default:
          more = false;
      }
      if (more) ++at_;
    }
    if (character() == '*') {
      conversion.width = star();
      if (conversion.width < 0) {
        conversion.left = true;
        conversion.width = -conversion.width;
      }
    } else {
      conversion.width = number_in_format();
    }
    if (character() == '.') {
      ++at_;
      conversion.precision = character() == '*' ? std::max<int64_t>(star(), 0) : number_in_format();
    }
    if (character() == 'h' || character() == 'l' || character() == 'L') ++at_;
    conversion.letter = character();
    ++at_;
    if (conversion.letter == '%') {
      out += '%';
      return;
    }
    write(out, conversion, value ? *value : argument());
    if (value) next_ = 1;
  }

  void write(TextBuilder& out, const Conversion& conversion, const Value& value) {
    switch (conversion.letter) {
      case 's':
      case 'r':
      case 'a':
        return pad(out, conversion, "", text_of(conversion, value));
      case 'c':
        return pad(out, conversion, "", character_of(value));
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        return write_integer(out, conversion, value);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return write_float(out, conversion, value);
      default:
        fail("unsupported format character '{}'", conversion.letter);
    }
  }

  std::string text_of(const Conversion& conversion, const Value& value) {
    std::string text = conversion.letter == 's' ? to_text(runtime_, value) : repr(runtime_, value);
    if (conversion.letter == 'a') text = ascii_only(text);
    const bool is_markup = value.is_string() && value.as<StringObject>().markup();
    if (string_.markup() && !(conversion.letter == 's' && is_markup)) text = escape_html(text);
    if (conversion.precision < 0) return text;
    return std::string(first_characters(text, static_cast<size_t>(conversion.precision)));
  }

  static std::string character_of(const Value& value) {
    if (value.is_string() && value.as<StringObject>().length() == 1)
      return value.as<StringObject>().text();
    if (!value.is_integral()) fail("%c requires int or char");
    return character_text(value.as_integer());
  }

  void write_integer(TextBuilder& out, const Conversion& conversion, const Value& value) {
    const bool decimal =
        conversion.letter == 'd' || conversion.letter == 'i' || conversion.letter == 'u';
    int64_t number = 0;
    if (value.is(Kind::kFloat) && decimal) {
      number = integer_of_float(value.as_float());
    } else if (value.is_integral()) {
      number = value.as_integer();
    } else {
      require_defined(value);
      if (decimal) {
        fail("%{} format: a real number is required, not {}", conversion.letter, type_name(value));
      }
      fail("%{} format: an integer is required, not {}", conversion.letter, type_name(value));
    }
    std::string digits = digits_of(number, decimal ? 'd' : conversion.letter);
    if (conversion.precision > static_cast<int64_t>(digits.size())) {
      runtime_.require_room(static_cast<size_t>(conversion.precision));
      digits.insert(0, static_cast<size_t>(conversion.precision) - digits.size(), '0');
    }
    std::string front = sign_of(conversion, number < 0);
    if (conversion.alternate && !decimal) front += std::string("0") + conversion.letter;
    pad(out, conversion, front, digits);
  }

  void write_float(TextBuilder& out, const Conversion& conversion, const Value& value) {
    require_defined(value);
    if (!value.is_numeric()) fail("must be real number, not {}", type_name(value));
    const double number = value.as_number();
    const int64_t precision = conversion.precision < 0 ? 6 : conversion.precision;
    runtime_.require_room(static_cast<size_t>(precision));
    const std::string digits = float_digits(std::abs(number), conversion.letter,
                                            static_cast<int>(precision), conversion.alternate);
    pad(out, conversion, sign_of(conversion, std::signbit(number) && !std::isnan(number)), digits);
  }

  static std::string sign_of(const Conversion& conversion, bool negative) {
    if (negative) return "-";
    return conversion.sign ? "+" : conversion.blank ? " " : "";
  }

  static void pad(TextBuilder& out, const Conversion& conversion, std::string_view front,
                  std::string_view text) {
    const size_t used = front.size() + count_characters(text);
    const auto width = static_cast<size_t>(conversion.width);
    const size_t missing = width > used ? width - used : 0;
    const bool is_text = conversion.letter == 's' || conversion.letter == 'r' ||
                         conversion.letter == 'a' || conversion.letter == 'c';
    const bool zeros = conversion.zeros && !is_text && !conversion.left;
    if (!conversion.left && !zeros) out.repeat(" ", missing);
    out += front;
    if (zeros) out.repeat("0", missing);
    out += text;
    if (conversion.left) out.repeat(" ", missing);
  }

  Runtime& runtime_;
  const StringObject& string_;
  std::string_view format_;
  const Value& arguments_;
  bool is_tuple_ = false;
  bool is_mapping_ = false;
  size_t at_ = 0;
  size_t next_ = 0;
};

}  // namespace

Value printf_format(Runtime& runtime, const Value& format, const Value& arguments) {
  return Printf(runtime, format, arguments).run();
}

}  // namespace elastikv::jinja
