#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <arrow/array.h>
#include <nlohmann/json.hpp>

namespace elastikv::parquet_module {

/// How much may be made of a file: some pages of a few bytes decode to any number of values.
class Budget {
 public:
  explicit Budget(int64_t bytes) : left_(bytes) {}
  /// Throws std::runtime_error when more was spent than there was.
  void spend(int64_t bytes);

 private:
  int64_t left_;
};

/// A text that is not UTF-8.
class BrokenText : public std::runtime_error {
 public:
  BrokenText() : std::runtime_error("a text is not UTF-8") {}
};

/// Whether values of a type are bytes that are no text.
bool is_bytes(const arrow::DataType& type);

/// A value as ParquetTable::read_rows gives it. Throws BrokenText, and std::runtime_error for one
/// that is damaged. Before it, arrow::util::InitializeUTF8() needs to have been called.
nlohmann::json cell(const arrow::Array& values, int64_t at, Budget& budget);

/// Appends the bytes in a value, in order.
void append_bytes(const arrow::Array& values, int64_t at,
                  std::vector<std::optional<std::string>>& bytes);

}  // namespace elastikv::parquet_module
