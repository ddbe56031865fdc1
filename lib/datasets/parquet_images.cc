#include "datasets/parquet_images.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "datasets/file_text.h"
#include "parquet/open.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

}  // namespace

std::vector<std::string> column_names(const ParquetTable& table) {
  std::vector<std::string> names;
  for (const ParquetColumn& column : table.columns) names.push_back(column.name);
  return names;
}

bool holds_bytes(const ParquetTable& table, std::string_view column) {
  return std::any_of(table.columns.begin(), table.columns.end(), [&](const ParquetColumn& one) {
    return one.holds_bytes && one.name == column;
  });
}

std::vector<ImageSource> ParquetImages::sources(const Json& value, size_t file, int64_t row,
                                                const std::string& column) {
  std::vector<ImageSource> found;
  size_t place = 0;
  add(value, file, row, column, place, found);
  return found;
}

void ParquetImages::add(const Json& value, size_t file, int64_t row, const std::string& column,
                        size_t& place, std::vector<ImageSource>& sources) {
  if (value.is_array()) {
    for (const Json& entry : value) add(entry, file, row, column, place, sources);
    return;
  }
  const size_t mine = place++;  // what is null has a place, too
  if (value.is_null()) return;
  ImageSource source;
  source.number = static_cast<int64_t>(place);
  const auto path = value.is_object() ? value.find("path") : value.end();
  if (path != value.end() && path->is_string() && !is_blank(path->get_ref<const std::string&>()))
    source.names.push_back(path->get<std::string>());
  source.bytes = [images = shared_from_this(), file, row, column, mine] {
    return images->read(file, row, column, mine);
  };
  sources.push_back(std::move(source));
}

const ParquetTable::Bytes& ParquetImages::in_row(size_t file, int64_t row,
                                                 const std::string& column) {
  if (!table_ || open_ != file) {
    row_ = -1;
    table_.reset();  // its pages' memory first
    table_ = open_parquet(files_[file]);
    open_ = file;
  }
  if (row != row_ || column != column_) {
    row_ = -1;
    bytes_.clear();
    bytes_ = table_->read_bytes(row, column);
    row_ = row;
    column_ = column;
  }
  return bytes_;
}

std::optional<std::string> ParquetImages::read(size_t file, int64_t row, const std::string& column,
                                               size_t place) {
  const ParquetTable::Bytes& bytes = in_row(file, row, column);
  if (place >= bytes.size())
    fail("{}: row {}: '{}' has fewer images than it has paths", files_[file].string(), row, column);
  return bytes[place];
}

}  // namespace elastikv
