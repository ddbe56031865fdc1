#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace elastikv {

/// A column of a Parquet file.
struct ParquetColumn {
  std::string name;
  std::string type;          ///< as Arrow writes it: "struct<bytes: binary, path: string>"
  bool holds_bytes = false;  ///< somewhere in it are bytes that are no text, such as an image's
};

/// An open Parquet file, of which nothing but its directory is in memory. Functions and not a class
/// with virtual ones, since a shared module fills them in (open.h): no type of the module's needs
/// to be known outside of it. They throw what derives from std::exception, with a message that does
/// not name the file.
struct ParquetTable {
  using UseRow = std::function<void(int64_t row, nlohmann::json&& object)>;
  using Bytes = std::vector<std::optional<std::string>>;

  std::vector<ParquetColumn> columns;
  int64_t rows = 0;
  /// Gives the rows in order, from 0, as objects of these columns. Lists are arrays, structs
  /// objects, numbers numbers, and what JSON has no type for (dates, decimals) is text. Bytes are
  /// not read where something beside them tells which are null: a struct of {bytes, path} is
  /// {path}. Bytes alone are an empty binary value. Texts are UTF-8: it throws at one that is not.
  std::function<void(const std::vector<std::string>& columns, const UseRow& use)> read_rows;
  /// All bytes of a column in a row, those of lists in their order; nothing stands for null, once
  /// for each struct that is null. Reads on from where the column was last read, so rows in order
  /// cost least. Of bytes in several members of a struct those called `bytes`, else the first.
  std::function<Bytes(int64_t row, const std::string& column)> read_bytes;
};

}  // namespace elastikv
