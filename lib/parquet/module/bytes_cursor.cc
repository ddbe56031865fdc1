#include "parquet/module/bytes_cursor.h"

#include <algorithm>
#include <exception>
#include <stdexcept>

#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include "parquet/module/cells.h"
#include "parquet/module/checked.h"

namespace elastikv::parquet_module {
namespace {

/// As many rows as have about so many bytes: a row of pictures may have megabytes.
constexpr int64_t kBytesOfABatch = int64_t{4} << 20;
constexpr int64_t kMostRows = 256;

}  // namespace

void BytesCursor::open(int group) {
  const auto info = reader_.parquet_reader()->metadata()->RowGroup(group);
  const int64_t bytes = std::max<int64_t>(info->ColumnChunk(leaf_)->total_uncompressed_size(), 1);
  const int64_t of_a_row = std::max<int64_t>(bytes / std::max<int64_t>(info->num_rows(), 1), 1);
  reader_.set_batch_size(std::clamp<int64_t>(kBytesOfABatch / of_a_row, 1, kMostRows));
  group_ = -1;
  batch_.reset();
  batches_.reset();
  damage_.reset();
  batches_ = checked(reader_.GetRecordBatchReader({group}, {leaf_}));
  group_ = group;
  begin_ = 0;
}

void BytesCursor::read_next() {
  if (batch_ != nullptr) begin_ += batch_->num_rows();
  batch_.reset();  // before the next one takes its place in memory
  try {
    check(batches_->ReadNext(&batch_));
    if (batch_ == nullptr) throw std::runtime_error("a row group ends before its last row");
    check(batch_->Validate());
  } catch (const std::exception& error) {
    // Not read again for each of the rows that are lost.
    damage_ = error.what();
    batch_.reset();
    batches_.reset();
    throw;
  }
}

ParquetTable::Bytes BytesCursor::read(int group, int64_t row) {
  if (group != group_ || row < begin_) open(group);
  if (damage_) throw std::runtime_error(*damage_);
  while (batch_ == nullptr || row >= begin_ + batch_->num_rows()) read_next();
  ParquetTable::Bytes bytes;
  append_bytes(*batch_->column(0), row - begin_, bytes);
  return bytes;
}

}  // namespace elastikv::parquet_module
