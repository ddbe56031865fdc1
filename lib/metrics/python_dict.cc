#include "metrics/python_dict.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/utf8.h"

namespace elastikv {
namespace {

constexpr char32_t kLastCharacter = 0x10FFFF;

/// Reads from left to right; every function is false, or nothing, where the text is something else.
class DictParser {
 public:
  explicit DictParser(std::string_view text) : rest_(text) {}

  std::optional<std::map<std::string, std::string>> parse() {
    std::map<std::string, std::string> entries;
    if (!take_blank_lines() || !take('{')) return std::nullopt;
    while (true) {
      take_blanks(/*line_ends=*/true);
      if (take('}')) break;
      std::optional<std::string> key = texts();
      if (!key || !take(':')) return std::nullopt;
      take_blanks(/*line_ends=*/true);
      std::optional<std::string> value = texts();
      if (!value) return std::nullopt;
      entries.insert_or_assign(std::move(*key), std::move(*value));
      if (take(',')) continue;
      if (!take('}')) return std::nullopt;
      break;
    }
    take_blanks(/*line_ends=*/true);
    return rest_.empty() ? std::optional(std::move(entries)) : std::nullopt;
  }

 private:
  bool take(char wanted) {
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  /// Python ignores blanks before an expression and lines of nothing else, but not those in front
  /// of it behind such a line.
  bool take_blank_lines() {
    take_blanks(/*line_ends=*/false);
    while (take('\n')) {
      const size_t before = rest_.size();
      take_blanks(/*line_ends=*/false);
      if (rest_.size() < before && !rest_.starts_with('\n')) return false;
    }
    return true;
  }

  void take_blanks(bool line_ends) {
    const std::string_view blanks = line_ends ? " \t\f\n\r" : " \t\f";
    const size_t end = rest_.find_first_not_of(blanks);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end);
  }

  /// A string or several in a row, with the blanks behind them.
  std::optional<std::string> texts() {
    std::string joined;
    bool any = false;
    while (rest_.starts_with('\'') || rest_.starts_with('"')) {
      if (!append_text(joined)) return std::nullopt;
      any = true;
      take_blanks(/*line_ends=*/true);
    }
    return any ? std::optional(std::move(joined)) : std::nullopt;
  }

  bool append_text(std::string& joined) {
    const char quote = rest_.front();
    const std::string three(3, quote);
    const std::string_view end =
        rest_.starts_with(three) ? std::string_view(three) : std::string_view(three).substr(2);
    rest_.remove_prefix(end.size());
    while (!rest_.empty()) {
      if (rest_.starts_with(end)) {
        rest_.remove_prefix(end.size());
        return true;
      }
      if (rest_.front() == '\n' && end.size() == 1) return false;
      if (rest_.front() == '\\') {
        if (!append_escape(joined)) return false;
        continue;
      }
      joined += rest_.front();
      rest_.remove_prefix(1);
    }
    return false;
  }

  bool append_escape(std::string& joined) {
    if (rest_.size() < 2) return false;
    const char kind = rest_[1];
    constexpr std::string_view kKinds = "\\'\"abfnrtv";
    constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (kind == '\n') {
      rest_.remove_prefix(2);
      return true;
    }
    if (const size_t at = kKinds.find(kind); at != std::string_view::npos) {
      joined += kMeanings[at];
      rest_.remove_prefix(2);
      return true;
    }
    if (kind >= '0' && kind <= '7') {
      const size_t digits = std::min(rest_.substr(1, 3).find_first_not_of("01234567"), size_t{3});
      return append_number(joined, /*skip=*/1, std::min(digits, rest_.size() - 1), /*base=*/8);
    }
    if (kind == 'x') return append_number(joined, /*skip=*/2, /*digits=*/2, /*base=*/16);
    if (kind == 'u') return append_number(joined, /*skip=*/2, /*digits=*/4, /*base=*/16);
    if (kind == 'U') return append_number(joined, /*skip=*/2, /*digits=*/8, /*base=*/16);
    if (kind == 'N') return false;
    // What is no escape stands for itself.
    joined += '\\';
    rest_.remove_prefix(1);
    return true;
  }

  /// A character by its number.
  bool append_number(std::string& joined, size_t skip, size_t digits, int base) {
    if (rest_.size() < skip + digits) return false;
    const char* begin = rest_.data() + skip;
    uint32_t character = 0;
    const auto [end, problem] = std::from_chars(begin, begin + digits, character, base);
    const bool is_surrogate = character >= 0xD800 && character <= 0xDFFF;
    if (problem != std::errc() || end != begin + digits || character > kLastCharacter ||
        is_surrogate)
      return false;
    append_utf8(joined, character);
    rest_.remove_prefix(skip + digits);
    return true;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<std::map<std::string, std::string>> parse_text_dict(std::string_view text) {
  return DictParser(text).parse();
}

}  // namespace elastikv
