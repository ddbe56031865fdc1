#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/intervals.h"

namespace elastikv {

/// A table of text: a header and rows of as many fields.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;

  /// GitHub's Markdown, columns aligned for reading as plain text; all but the first
  /// `left_columns` columns are set flush right. The header and the left columns stand as they are,
  /// whatever characters they hold; of the other fields, which are numbers for the most part, what
  /// could break the table or begin code or HTML is escaped.
  std::string markdown(size_t left_columns = 1) const;
  /// RFC 4180 with \n line ends; fields are quoted only where they must be.
  std::string csv() const;

 private:
  std::string aligned(size_t left_columns) const;
};

/// Text from data in Markdown, so that it reads as it is: what means something there is escaped,
/// line ends and other control characters are spaces. Also at the start of a line.
std::string markdown_text(std::string_view text);
/// The same as code: between as many backticks as it takes.
std::string markdown_code(std::string_view text);
/// For people: four significant digits from 1 on, three decimals below ("0.123", "1.234", "105.2",
/// "12345").
std::string short_number(double value);
/// For programs: nine significant digits; empty when absent.
std::string long_number(std::optional<double> value);
/// "1.234 [1.111, 1.345]", or the value alone without an interval.
std::string with_interval(double value, const std::optional<Interval>& interval);
/// "+0.123 [+0.101, +0.140]*", the star when the interval excludes 0.
std::string signed_with_interval(double value, const std::optional<Interval>& interval);

}  // namespace elastikv
