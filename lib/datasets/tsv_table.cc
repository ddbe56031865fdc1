#include "datasets/tsv_table.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace elastikv {
namespace {

/// Reads row after row.
class TsvReader {
 public:
  explicit TsvReader(FileText& text) : text_(text), rest_(text.view()) {}

  bool at_end() const { return rest_.empty(); }

  /// The next row; false when a quote in it is never closed.
  bool next(TsvRow& row) {
    row.fields.clear();
    row.line = line_;
    for (bool more = true; more;) {
      if (rest_.starts_with('"')) {
        if (!read_quoted(row, more)) return false;
      } else {
        row.fields.push_back(read_plain(more));
      }
    }
    return true;
  }

 private:
  /// Up to the next tab or line end; `more`: a tab, so another field follows.
  std::string_view read_plain(bool& more) {
    const auto end = static_cast<size_t>(
        std::find_if(rest_.begin(), rest_.end(), [](char c) { return c == '\t' || c == '\n'; }) -
        rest_.begin());
    const std::string_view field = rest_.substr(0, end);
    more = end < rest_.size() && rest_[end] == '\t';
    if (!more) ++line_;
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return field;
  }

  bool read_quoted(TsvRow& row, bool& more) {
    rest_.remove_prefix(1);
    std::string value;
    for (;;) {
      const size_t quote = rest_.find('"');
      if (quote == std::string_view::npos) {
        rest_ = {};
        return false;
      }
      const std::string_view piece = rest_.substr(0, quote);
      line_ += std::count(piece.begin(), piece.end(), '\n');
      rest_.remove_prefix(quote + 1);
      if (rest_.starts_with('"')) {
        value += piece;
        value += '"';
        rest_.remove_prefix(1);
        continue;
      }
      // What follows the closing quote belongs to the field as it stands.
      const std::string_view after = read_plain(more);
      if (value.empty() && after.empty()) {
        row.fields.push_back(piece);
      } else {
        value += piece;
        value += after;
        row.fields.push_back(text_.keep(std::move(value)));
      }
      return true;
    }
  }

  FileText& text_;
  std::string_view rest_;
  int64_t line_ = 1;
};

bool is_blank_row(const TsvRow& row) { return row.fields.size() == 1 && is_blank(row.fields[0]); }

}  // namespace

std::vector<std::string_view> tsv_header(FileText& text) {
  TsvReader reader(text);
  TsvRow row;
  reader.next(row);
  return row.fields;
}

TsvTable read_tsv_table(FileText& text, Problems& problems) {
  TsvTable table;
  TsvReader reader(text);
  TsvRow row;
  while (!reader.at_end()) {
    if (!reader.next(row)) {
      problems.add_line(ProblemKind::kSyntax, row.line, "a quote is opened here and never closed");
      break;
    }
    if (is_blank_row(row)) continue;
    if (table.header.empty()) {
      table.header = row.fields;
    } else if (row.fields.size() == table.header.size()) {
      table.rows.push_back(row);
    } else {
      problems.add_line(ProblemKind::kSyntax, row.line,
                        fmt::format("{} field{}, the header has {}", row.fields.size(),
                                    row.fields.size() == 1 ? "" : "s", table.header.size()));
    }
  }
  return table;
}

}  // namespace elastikv
