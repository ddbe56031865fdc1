#include "jinja/lexer.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "jinja/characters.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

constexpr size_t kNowhere = std::string_view::npos;

/// Line ends as \n, and none at the end of the text.
std::string with_plain_lines(std::string_view source) {
  std::string plain(source);
  unify_line_ends(plain);
  if (plain.ends_with('\n')) plain.pop_back();
  return plain;
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }
bool is_digit_of(char c, int base) {
  if (base == 16) return std::isxdigit(static_cast<unsigned char>(c)) != 0;
  return c >= '0' && c < '0' + base;
}

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view name)
      : name_(name), owned_(with_plain_lines(source)), source_(owned_) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) outside();
    add(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  void add(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, line_, std::move(text), {}});
  }

  [[noreturn]] void fail_here(std::string_view problem) const { fail_at(name_, line_, problem); }

  char get(size_t at) const { return at < source_.size() ? source_[at] : '\0'; }
  bool starts(size_t at, std::string_view text) const {
    return source_.substr(std::min(at, source_.size()), text.size()) == text;
  }
  size_t skip_space(size_t at) const {
    while (at < source_.size() && is_space(character_at(source_, at))) {
      at += character_size(source_[at]);
    }
    return at;
  }
  void move_to(size_t end) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    // lstrip_blocks asks whether what came last ended a line.
    if (end > at_) line_starting_ = source_[end - 1] == '\n';
    at_ = end;
  }

  /// The text before a tag whose sign (-, + or none) is known, as whitespace control leaves it.
  std::string_view before_tag(std::string_view text, char sign, bool is_print) const {
    if (sign == '-') return strip(text, false, true);
    if (sign == '+' || is_print) return text;
    const size_t newline = text.rfind('\n');
    const size_t begin = newline == kNowhere ? 0 : newline + 1;
    if (begin == 0 && !line_starting_) return text;
    const std::string_view blank = text.substr(begin);
    return !blank.empty() && strip(blank).empty() ? text.substr(0, begin) : text;
  }

  void data(std::string_view text) {
    if (!text.empty()) add(Token::Kind::kData, std::string(text));
  }

  /// Text up to the next tag, and the tag.
  void outside() {
    size_t tag = at_;
    do {
      tag = source_.find('{', tag);
      if (tag == kNowhere) break;
      const char next = get(tag + 1);
      if (next == '{' || next == '%' || next == '#') break;
      ++tag;
    } while (true);
    if (tag == kNowhere) {
      data(source_.substr(at_));
      move_to(source_.size());
      return;
    }
    const char kind = source_[tag + 1];
    const char sign = get(tag + 2) == '-' || get(tag + 2) == '+' ? source_[tag + 2] : '\0';
    const size_t inside = tag + 2 + (sign != '\0' ? 1 : 0);
    data(before_tag(source_.substr(at_, tag - at_), sign, kind == '{'));
    const size_t raw = kind == '%' ? raw_begin(inside) : kNowhere;
    move_to(tag);
    if (raw != kNowhere) {
      move_to(raw);
      raw_text();
    } else if (kind == '#') {
      move_to(inside);
      comment();
    } else {
      add(kind == '{' ? Token::Kind::kPrintBegin : Token::Kind::kTagBegin, "");
      move_to(inside);
      tag_tokens(kind == '{');
    }
  }

  /// Where the text of {% raw %} begins; nowhere when the tag is another.
  size_t raw_begin(size_t inside) const {
    const size_t word = skip_space(inside);
    if (!starts(word, "raw")) return kNowhere;
    const size_t end = skip_space(word + 3);
    if (starts(end, "-%}")) return skip_space(end + 3);
    return starts(end, "%}") ? end + 2 : kNowhere;
  }

  /// The end of a tag that may begin with - or + before `close`; nowhere when none is at `at`.
  size_t tag_end(size_t at, std::string_view close, bool trims) const {
    if (get(at) == '-' && starts(at + 1, close)) return skip_space(at + 1 + close.size());
    if (trims && get(at) == '+' && starts(at + 1, close)) return at + 1 + close.size();
    if (!starts(at, close)) return kNowhere;
    const size_t end = at + close.size();
    return trims && get(end) == '\n' ? end + 1 : end;
  }

  void raw_text() {
    for (size_t tag = source_.find("{%", at_); tag != kNowhere; tag = source_.find("{%", tag + 1)) {
      const char sign = get(tag + 2) == '-' || get(tag + 2) == '+' ? source_[tag + 2] : '\0';
      size_t word = skip_space(tag + 2 + (sign != '\0' ? 1 : 0));
      if (!starts(word, "endraw")) continue;
      word = skip_space(word + 6);
      const size_t end = tag_end(word, "%}", /*trims=*/true);
      if (end == kNowhere) continue;
      data(before_tag(source_.substr(at_, tag - at_), sign, false));
      move_to(end);
      return;
    }
    if (at_ < source_.size()) fail_here("Missing end of raw directive");
  }

  void comment() {
    const size_t close = source_.find("#}", at_);
    if (close == kNowhere) {
      if (at_ < source_.size()) fail_here("Missing end of comment tag");
      return;
    }
    const bool signed_close =
        close > at_ && (source_[close - 1] == '-' || source_[close - 1] == '+');
    move_to(tag_end(close - (signed_close ? 1 : 0), "#}", /*trims=*/true));
  }

  void tag_tokens(bool is_print) {
    std::string open;  // the brackets that are still to be closed
    while (at_ < source_.size()) {
      if (open.empty()) {
        const size_t end = tag_end(at_, is_print ? "}}" : "%}", !is_print);
        if (end != kNowhere) {
          add(is_print ? Token::Kind::kPrintEnd : Token::Kind::kTagEnd, "");
          move_to(end);
          return;
        }
      }
      const char32_t character = character_at(source_, at_);
      if (is_space(character)) {
        move_to(skip_space(at_));
      } else if (character >= U'0' && character <= U'9') {
        number();
      } else if (is_identifier_part(character)) {
        name();
      } else if (character == U'\'' || character == U'"') {
        string();
      } else {
        operator_token(open);
      }
    }
  }

  void name() {
    size_t end = at_;
    while (end < source_.size() && is_identifier_part(character_at(source_, end))) {
      end += character_size(source_[end]);
    }
    if (!is_identifier_start(character_at(source_, at_))) {
      fail_here("Invalid character in identifier");
    }
    add(Token::Kind::kName, std::string(source_.substr(at_, end - at_)));
    move_to(end);
  }

  /// Where digits (with single underscores between them) that begin at `at` end.
  size_t digits_end(size_t at, int base) const {
    if (!is_digit_of(get(at), base)) return at;
    while (is_digit_of(get(at), base) || (get(at) == '_' && is_digit_of(get(at + 1), base))) ++at;
    return at;
  }

  /// Where a float that begins here ends; nowhere when none does.
  size_t float_end() const {
    if (at_ > 0 && source_[at_ - 1] == '.') return kNowhere;
    const size_t whole = digits_end(at_, 10);
    size_t end = whole;
    if (get(whole) == '.') end = std::max(digits_end(whole + 1, 10), whole + 1);
    if (end == whole + 1) end = whole;
    if ((get(end) | 0x20) == 'e') {
      const size_t digits = end + 1 + (get(end + 1) == '+' || get(end + 1) == '-' ? 1 : 0);
      const size_t exponent = digits_end(digits, 10);
      if (exponent > digits) return exponent;
    }
    return end > whole ? end : kNowhere;
  }

  size_t integer_end() const {
    if (get(at_) != '0') return digits_end(at_, 10);
    const char letter = static_cast<char>(get(at_ + 1) | 0x20);
    const int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (base != 0) {
      const size_t digits = at_ + 2 + (get(at_ + 2) == '_' ? 1 : 0);
      const size_t end = digits_end(digits, base);
      if (end > digits) return end;
    }
    return digits_end(at_, 1);  // zeros alone
  }

  void number() {
    size_t end = float_end();
    const bool is_float = end != kNowhere;
    if (!is_float) end = integer_end();
    std::string text(source_.substr(at_, end - at_));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    Token token{Token::Kind::kNumber, line_, text, {}};
    if (is_float) {
      token.number = Value::number(std::strtod(text.c_str(), nullptr));
    } else {
      try {
        token.number = Value::integer(parse_integer(text, 0).value());
      } catch (const Error& error) {
        fail_here(error.what());
      }
    }
    tokens_.push_back(std::move(token));
    move_to(end);
  }

  void string() {
    const char quote = source_[at_];
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) {
      end += source_[end] == '\\' && end + 1 < source_.size() ? 1 + character_size(source_[end + 1])
                                                              : 1;
    }
    if (end >= source_.size()) {
      fail_here(fmt::format("unexpected char {} at {}", repr_text(std::string_view(&quote, 1)),
                            count_characters(source_.substr(0, at_))));
    }
    add(Token::Kind::kString, unescaped(source_.substr(at_ + 1, end - at_ - 1)));
    move_to(end + 1);
  }

  /// Python's unicode-escape, after what is beyond ASCII was escaped itself.
  std::string unescaped(std::string_view text) const {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      if (text[at] != '\\') {
        const size_t size = character_size(text[at]);
        out += text.substr(at, size);
        at += size;
        continue;
      }
      ++at;
      constexpr std::string_view kLetters = "abfnrtv\\'\"\n";
      constexpr std::array<std::string_view, 11> kMeant{"\a", "\b", "\f", "\n", "\r", "\t",
                                                        "\v", "\\", "'",  "\"", ""};
      const char letter = text[at];
      const size_t known = kLetters.find(letter);
      if (known != kNowhere) {
        out += kMeant[known];
        ++at;
      } else if (is_octal(letter)) {
        uint32_t code = 0;
        for (int count = 0; count < 3 && at < text.size() && is_octal(text[at]); ++count) {
          code = code * 8 + static_cast<uint32_t>(text[at++] - '0');
        }
        append_utf8(out, code);
      } else if (letter == 'x' || letter == 'u' || letter == 'U') {
        ++at;
        append_utf8(out, hexadecimal(text, at, letter == 'x' ? 2 : letter == 'u' ? 4 : 8));
      } else if (letter == 'N') {
        fail_here("characters by their names (\\N) are not supported");
      } else if (static_cast<unsigned char>(letter) < 0x80) {
        out += '\\';
        out += letter;
        ++at;
      } else {
        // The backslash meets that of the character's own escape.
        const std::string escape = quoted_escape(character_at(text, at));
        out += escape;
        at += character_size(text[at]);
      }
    }
    return out;
  }

  static std::string quoted_escape(char32_t character) {
    const auto code = static_cast<uint32_t>(character);
    if (code < 0x100) return fmt::format("\\x{:02x}", code);
    return code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
  }

  char32_t hexadecimal(std::string_view text, size_t& at, size_t count) const {
    uint32_t code = 0;
    for (size_t i = 0; i < count; ++i, ++at) {
      if (at >= text.size() || !is_digit_of(text[at], 16))
        fail_here("truncated escape in a string");
      const char digit = static_cast<char>(text[at] | 0x20);
      code = code * 16 + static_cast<uint32_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    if (code > 0x10FFFF) fail_here("illegal Unicode character");
    if (code >= 0xD800 && code <= 0xDFFF) fail_here("a surrogate is no character");
    return code;
  }

  void operator_token(std::string& open) {
    constexpr std::string_view kDouble[]{"//", "**", "==", "!=", ">=", "<="};
    constexpr std::string_view kSingle = "+-/*%~[](){}<>=.:|,;";
    const std::string_view next = source_.substr(at_, 2);
    size_t size = 1;
    if (std::find(std::begin(kDouble), std::end(kDouble), next) != std::end(kDouble)) {
      size = 2;
    } else if (kSingle.find(next[0]) == kNowhere) {
      fail_here(fmt::format("unexpected char {} at {}",
                            repr_text(source_.substr(at_, character_size(source_[at_]))),
                            count_characters(source_.substr(0, at_))));
    }
    const char symbol = next[0];
    if (symbol == '(' || symbol == '[' || symbol == '{') {
      open += symbol == '(' ? ')' : symbol == '[' ? ']' : '}';
    } else if (symbol == ')' || symbol == ']' || symbol == '}') {
      if (open.empty()) fail_here(fmt::format("unexpected '{}'", symbol));
      if (open.back() != symbol) {
        fail_here(fmt::format("unexpected '{}', expected '{}'", symbol, open.back()));
      }
      open.pop_back();
    }
    add(Token::Kind::kOperator, std::string(next.substr(0, size)));
    move_to(at_ + size);
  }

  std::string_view name_;
  std::string owned_;
  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string described(const Token& token) {
  switch (token.kind) {
    case Token::Kind::kData:
      return "template data / text";
    case Token::Kind::kPrintBegin:
      return "begin of print statement";
    case Token::Kind::kPrintEnd:
      return "end of print statement";
    case Token::Kind::kTagBegin:
      return "begin of statement block";
    case Token::Kind::kTagEnd:
      return "end of statement block";
    case Token::Kind::kString:
      return "string";
    case Token::Kind::kNumber:
      return token.number.is(Kind::kFloat) ? "float" : "integer";
    case Token::Kind::kEnd:
      return "end of template";
    case Token::Kind::kName:
    case Token::Kind::kOperator:
      break;
  }
  return token.text;
}

std::vector<Token> tokenize(std::string_view source, std::string_view name) {
  return Lexer(source, name).run();
}

void fail_at(std::string_view name, int line, std::string_view problem) {
  fail("{}:{}: {}", name, line, problem);
}

}  // namespace elastikv::jinja
