#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "datasets/draft.h"
#include "parquet/table.h"

namespace elastikv {

/// Bytes of images in the Parquet files of a data set, read when they are wanted. One file is open
/// at a time, so images in the files' order cost least.
class ParquetImages : public std::enable_shared_from_this<ParquetImages> {
 public:
  explicit ParquetImages(std::vector<std::filesystem::path> files) : files_(std::move(files)) {}

  /// The images of a column of bytes in a row: one, or those of a list; what is null is left out.
  /// `value` is the column's as ParquetTable::read_rows gives it.
  std::vector<ImageSource> sources(const nlohmann::json& value, size_t file, int64_t row,
                                   const std::string& column);

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
