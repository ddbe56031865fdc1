#include "report/table.h"

#include <algorithm>
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

std::string csv_row(const std::vector<std::string>& fields) {
  std::string row;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) row += ',';
    row += csv_field(fields[i]);
  }
  row += '\n';
  return row;
}

/// A field that cannot end its column or its row.
std::string markdown_field(const std::string& field) {
  std::string text;
  for (const char c : field) {
    if (c == '|') text += '\\';
    text += c == '\n' || c == '\r' ? ' ' : c;
  }
  return text;
}

}  // namespace

std::string Table::markdown(size_t left_columns) const {
  Table safe = *this;
  for (std::string& field : safe.header) field = markdown_field(field);
  for (auto& row : safe.rows) {
    for (std::string& field : row) field = markdown_field(field);
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

std::string Table::csv() const {
  std::string text = csv_row(header);
  for (const auto& row : rows) text += csv_row(row);
  return text;
}

std::string csv_field(std::string_view field) {
  if (field.find_first_of(",\"\n\r") == std::string_view::npos) return std::string(field);
  std::string quoted(1, '"');
  for (const char c : field) quoted.append(c == '"' ? 2 : 1, c);
  quoted += '"';
  return quoted;
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
