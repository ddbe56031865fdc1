#include "report/table.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"

namespace elastikv {
namespace {

/// Columns that a terminal needs for UTF-8 text without wide characters.
size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80;
}

/// Text in which no character means anything to Markdown, but for the start of a line.
std::string plain_markdown(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char before = i > 0 ? text[i - 1] : ' ';
    const char after = i + 1 < text.size() ? text[i + 1] : ' ';
    bool escaped = false;
    switch (c) {
      case '\\':
      case '`':
      case '*':
      case '[':
      case ']':
      case '<':
      case '|':
      case '~':
      case '$':
        escaped = true;
        break;
      case '_':  // within a word it means nothing
        escaped = !is_word(before) || !is_word(after);
        break;
      case '&':  // may begin an entity
        escaped = is_word(after) || after == '#';
        break;
      default:
        break;
    }
    if (escaped) plain += '\\';
    plain += is_control(c) ? ' ' : c;
  }
  return plain;
}

/// A field of numbers, with brackets and stars of our own: it can't end its column or its row, nor
/// begin code or HTML.
std::string number_field(const std::string& field) {
  std::string text;
  for (const char c : field) {
    if (c == '|' || c == '`' || c == '<' || c == '\\') text += '\\';
    text += is_control(c) ? ' ' : c;
  }
  return text;
}

}  // namespace

std::string markdown_text(std::string_view text) {
  const std::string plain = plain_markdown(text);
  const size_t first = plain.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  std::string_view rest = std::string_view(plain).substr(first);
  size_t number = 0;
  while (number < rest.size() && rest[number] >= '0' && rest[number] <= '9') ++number;
  const auto with_escape = [&](size_t at) {
    return fmt::format("{}\\{}", rest.substr(0, at), rest.substr(at));
  };
  if (std::string_view("#->+=").find(rest.front()) != std::string_view::npos) return with_escape(0);
  if (number > 0 && number < rest.size() && (rest[number] == '.' || rest[number] == ')'))
    return with_escape(number);
  return std::string(rest);
}

std::string markdown_code(std::string_view text) {
  std::string code;
  size_t longest = 0;
  size_t run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
    code += is_control(c) ? ' ' : c;
  }
  const std::string fence(longest + 1, '`');
  // A space on both sides is taken away again; without one, backticks at the ends would join.
  const bool spaced = code.empty() || code.front() == '`' || code.back() == '`' ||
                      (code.front() == ' ' && code.back() == ' ');
  return spaced ? fmt::format("{0} {1} {0}", fence, code) : fmt::format("{0}{1}{0}", fence, code);
}

std::string Table::markdown(size_t left_columns) const {
  Table safe = *this;
  for (std::string& field : safe.header) field = plain_markdown(field);
  for (auto& row : safe.rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      row[column] = column < left_columns ? plain_markdown(row[column]) : number_field(row[column]);
    }
  }
  return safe.aligned(left_columns);
}

std::string Table::aligned(size_t left_columns) const {
  std::vector<size_t> widths;
  for (size_t column = 0; column < header.size(); ++column) {
    size_t width = std::max<size_t>(3, width_of(header[column]));
    for (const auto& row : rows) {
      ELASTIKV_ASSERT(row.size() == header.size(), "{} fields of {}", row.size(), header.size());
      width = std::max(width, width_of(row[column]));
    }
    widths.push_back(width);
  }
  const auto line = [&](const std::vector<std::string>& fields) {
    std::string text = "|";
    for (size_t column = 0; column < fields.size(); ++column) {
      const std::string padding(widths[column] - width_of(fields[column]), ' ');
      text += column < left_columns ? " " + fields[column] + padding + " |"
                                    : " " + padding + fields[column] + " |";
    }
    return text + "\n";
  };
  std::string text = line(header) + "|";
  for (size_t column = 0; column < header.size(); ++column) {
    const std::string dashes(widths[column], '-');
    text += column < left_columns ? " " + dashes + " |" : " " + dashes + ":|";
  }
  text += "\n";
  for (const auto& row : rows) text += line(row);
  return text;
}

std::string short_number(double value) {
  const double size = std::abs(value);
  // Rounding may add a digit: 9.9996 is 10.00, as 10 is.
  const int decimals = size < 9.9995 ? 3 : size < 99.995 ? 2 : size < 999.95 ? 1 : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string long_number(std::optional<double> value) {
  return value ? fmt::format("{:.9g}", *value) : "";
}

std::string with_interval(double value, const std::optional<Interval>& interval) {
  if (!interval) return short_number(value);
  return fmt::format("{} [{}, {}]", short_number(value), short_number(interval->low),
                     short_number(interval->high));
}

std::string signed_with_interval(double value, const std::optional<Interval>& interval) {
  if (!interval) return fmt::format("{:+.3f}", value);
  const bool excludes_zero = interval->low > 0 || interval->high < 0;
  return fmt::format("{:+.3f} [{:+.3f}, {:+.3f}]{}", value, interval->low, interval->high,
                     excludes_zero ? "*" : "");
}

}  // namespace elastikv
