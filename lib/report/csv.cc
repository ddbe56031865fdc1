#include <string>
#include <string_view>
#include <vector>

#include "report/table.h"
#include "report/table_forms.h"

namespace elastikv {
namespace {

std::string csv_field(std::string_view field) {
  if (field.find_first_of(",\"\n\r") == std::string_view::npos) return std::string(field);
  std::string quoted(1, '"');
  for (const char c : field) quoted.append(c == '"' ? 2 : 1, c);
  quoted += '"';
  return quoted;
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

}  // namespace

std::string Table::csv() const {
  std::string text = csv_row(header);
  for (const auto& row : rows) text += csv_row(row);
  return text;
}

extern const TableForm kCsvForm{
    .name = "csv", .extension = ".csv", .table = [](const Table& table) { return table.csv(); }};

}  // namespace elastikv
