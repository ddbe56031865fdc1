#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <arrow/record_batch.h>
#include <parquet/arrow/reader.h>

#include "parquet/table.h"

namespace elastikv::parquet_module {

/// Reads on in one column of bytes, a few rows at a time.
class BytesCursor {
 public:
  /// `leaf`: the column's, among those of the file. The reader needs to outlive the cursor.
  BytesCursor(parquet::arrow::FileReader& reader, int leaf) : reader_(reader), leaf_(leaf) {}

  /// The bytes of a row of a row group; `row` counts from the group's first. A row before the last
  /// one starts the group anew. Throws std::runtime_error when the group is damaged before the
  /// row's end or ends before it.
  ParquetTable::Bytes read(int group, int64_t row);

 private:
  void open(int group);
  void read_next();

  parquet::arrow::FileReader& reader_;
  int leaf_;
  int group_ = -1;
  int64_t begin_ = 0;  // of the batch, in the group
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::optional<std::string> damage_;  // why nothing behind begin_ can be read
};

}  // namespace elastikv::parquet_module
