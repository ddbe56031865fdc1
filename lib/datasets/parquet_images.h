#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "datasets/draft.h"
#include "parquet/table.h"

namespace elastikv {

/// The names of a table's columns, in its order.
std::vector<std::string> column_names(const ParquetTable& table);
/// Whether a table has a column of that name with bytes in it.
bool holds_bytes(const ParquetTable& table, std::string_view column);

/// Bytes of images in the Parquet files of a data set, read when they are wanted. One file is open
/// at a time, so images in the files' order cost least.
class ParquetImages : public std::enable_shared_from_this<ParquetImages> {
 public:
  explicit ParquetImages(std::vector<std::filesystem::path> files) : files_(std::move(files)) {}

  /// The images of a column of bytes in a row: one, or those of a list; what is null is left out.
  /// `value` is the column's as ParquetTable::read_rows gives it. They are numbered by their places
  /// in the column, from 1, of which what is null has one.
  std::vector<ImageSource> sources(const nlohmann::json& value, size_t file, int64_t row,
                                   const std::string& column);
  /// All bytes of a column in a row, as ParquetTable::read_bytes has them; until the next ones are
  /// read.
  const ParquetTable::Bytes& in_row(size_t file, int64_t row, const std::string& column);

 private:
  void add(const nlohmann::json& value, size_t file, int64_t row, const std::string& column,
           size_t& place, std::vector<ImageSource>& sources);
  std::optional<std::string> read(size_t file, int64_t row, const std::string& column,
                                  size_t place);

  std::vector<std::filesystem::path> files_;
  std::optional<ParquetTable> table_;  // of the file that was read last
  size_t open_ = 0;                    // which one that is
  // The bytes that were read last: a row has often several.
  int64_t row_ = -1;
  std::string column_;
  ParquetTable::Bytes bytes_;
};

}  // namespace elastikv
