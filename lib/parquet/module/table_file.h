#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <arrow/memory_pool.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>

#include "parquet/module/bounded_pool.h"
#include "parquet/module/bytes_cursor.h"
#include "parquet/module/cells.h"
#include "parquet/table.h"

namespace elastikv::parquet_module {

/// An open Parquet file: its directory, and what was read last of its bytes. Everything throws
/// std::exception. Memory of pages comes from a pool that the file's size bounds.
class TableFile {
 public:
  explicit TableFile(const std::string& file);

  std::vector<ParquetColumn> columns() const;
  int64_t rows() const { return first_rows_.back(); }
  void read_rows(const std::vector<std::string>& columns, const ParquetTable::UseRow& use);
  ParquetTable::Bytes read_bytes(int64_t row, const std::string& column);

 private:
  struct Column {
    ParquetColumn info;
    std::vector<int> leaves;  // of the file, that tell all of it but bytes
    int bytes = -1;           // the leaf with its bytes
  };
  void add_column(const parquet::arrow::SchemaField& field);
  const Column& column(const std::string& name) const;
  void read_group(int group, const std::vector<int>& leaves, Budget& budget,
                  const ParquetTable::UseRow& use);

  int64_t size_ = 0;  // of the file, in bytes
  arrow::ProxyMemoryPool counted_;
  std::unique_ptr<BoundedPool> pool_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::vector<Column> columns_;
  std::unordered_map<std::string, size_t> by_name_;  // of them
  std::vector<int64_t> first_rows_{0};               // of each row group, then the number of rows
  std::map<std::string, BytesCursor> cursors_;
};

}  // namespace elastikv::parquet_module
