#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "datasets/file_text.h"
#include "datasets/problems.h"

namespace elastikv {

/// A line of a table. A quoted field may hold line ends, so it may be several lines of the file.
struct TsvRow {
  std::vector<std::string_view> fields;
  int64_t line = 0;  // the first one, from 1
};

/// Tab-separated values with a header, as pandas reads and writes them: a field that begins with a
/// quote ends at the next one, and two quotes within it are one; blank lines do not count.
struct TsvTable {
  std::vector<std::string_view> header;
  std::vector<TsvRow> rows;  // each as long as the header
};

/// The fields of a text's first line.
std::vector<std::string_view> tsv_header(FileText& text);

/// Rows that are longer or shorter than the header, and a quote that is never closed, are noted and
/// left out. The fields are pieces of the text.
TsvTable read_tsv_table(FileText& text, Problems& problems);

}  // namespace elastikv
