#include "parquet/module/table_file.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include "parquet/module/checked.h"

namespace elastikv::parquet_module {
namespace {

constexpr int64_t kMebi = int64_t{1} << 20;
/// Read ahead in a column's part of a row group, instead of all of it at once.
constexpr int64_t kBufferBytes = kMebi / 16;
constexpr int64_t kRowsOfABatch = 64;
constexpr int32_t kMostDirectoryTexts = 32 * kMebi;
constexpr int32_t kMostDirectoryEntries = 200'000;

/// What pages may take at once: one in its compressed and its plain form, some more where it is
/// text, and much more than that only in a file that was made to.
int64_t most_page_bytes(int64_t file) { return std::clamp(4 * file, 128 * kMebi, 1024 * kMebi); }
/// What all texts and numbers that are kept of a file may take.
int64_t most_values(int64_t file) { return 64 * kMebi + 128 * file; }
/// A file of nothing but repeated values has many rows in few bytes, one with questions has not.
int64_t most_rows(int64_t file) { return 20'000 + file; }

struct Leaves {
  std::vector<int> bytes;
  std::vector<int> others;
  int called_bytes = -1;
  bool has_map = false;  // of whose keys and values neither is read alone
};

void collect(const parquet::arrow::SchemaField& field, Leaves& leaves) {
  if (!arrow::util::ValidateUTF8(field.field->name()))
    throw std::runtime_error("a column's name is not UTF-8");
  if (field.field->type()->id() == arrow::Type::MAP) leaves.has_map = true;
  if (field.is_leaf()) {
    const bool bytes = is_bytes(*field.field->type());
    (bytes ? leaves.bytes : leaves.others).push_back(field.column_index);
    if (bytes && field.field->name() == "bytes" && leaves.called_bytes < 0)
      leaves.called_bytes = field.column_index;
  }
  for (const parquet::arrow::SchemaField& child : field.children) collect(child, leaves);
}

}  // namespace

// Arrow's own allocator, not the system's: blocks of megabytes between small ones of ours would
// leave gaps that no later one fits, 20 MB for each file.
TableFile::TableFile(const std::string& file) : counted_(arrow::default_memory_pool()) {
  const auto opened = checked(arrow::io::ReadableFile::Open(file, &counted_));
  size_ = checked(opened->GetSize());
  pool_ = std::make_unique<BoundedPool>(&counted_, most_page_bytes(size_));
  parquet::ReaderProperties properties(pool_.get());
  properties.enable_buffered_stream();
  properties.set_buffer_size(kBufferBytes);
  properties.set_thrift_string_size_limit(kMostDirectoryTexts);
  properties.set_thrift_container_size_limit(kMostDirectoryEntries);
  parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
  arrow_properties.set_pre_buffer(false);
  parquet::arrow::FileReaderBuilder builder;
  check(builder.Open(opened, properties));
  reader_ = checked(builder.memory_pool(pool_.get())->properties(arrow_properties)->Build());

  arrow::util::InitializeUTF8();
  for (const parquet::arrow::SchemaField& field : reader_->manifest().schema_fields)
    add_column(field);
  const auto metadata = reader_->parquet_reader()->metadata();
  for (int group = 0; group < metadata->num_row_groups(); ++group) {
    const int64_t rows = metadata->RowGroup(group)->num_rows();
    if (rows < 0 || rows > most_rows(size_) - first_rows_.back())
      throw std::runtime_error("it claims more rows than a file of its size holds");
    first_rows_.push_back(first_rows_.back() + rows);
  }
}

void TableFile::add_column(const parquet::arrow::SchemaField& field) {
  Leaves leaves;
  collect(field, leaves);
  Column column;
  column.info = {field.field->name(), field.field->type()->ToString(), !leaves.bytes.empty()};
  column.leaves = std::move(leaves.others);
  if (column.info.holds_bytes) {
    column.bytes = leaves.called_bytes < 0 ? leaves.bytes.front() : leaves.called_bytes;
    if (column.leaves.empty() || leaves.has_map)
      column.leaves.insert(column.leaves.end(), leaves.bytes.begin(), leaves.bytes.end());
    std::sort(column.leaves.begin(), column.leaves.end());
  }
  if (!by_name_.try_emplace(column.info.name, columns_.size()).second)
    throw std::runtime_error("it has two columns of one name");
  columns_.push_back(std::move(column));
}

std::vector<ParquetColumn> TableFile::columns() const {
  std::vector<ParquetColumn> all;
  for (const Column& column : columns_) all.push_back(column.info);
  return all;
}

const TableFile::Column& TableFile::column(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) throw std::runtime_error("it has no column '" + name + "'");
  return columns_[found->second];
}

void TableFile::read_rows(const std::vector<std::string>& columns,
                          const ParquetTable::UseRow& use) {
  std::vector<int> leaves;
  for (const std::string& name : columns) {
    const std::vector<int>& more = column(name).leaves;
    leaves.insert(leaves.end(), more.begin(), more.end());
  }
  if (leaves.empty()) {  // rows without a value are rows all the same
    for (int64_t row = 0; row < rows(); ++row) use(row, nlohmann::json::object());
    return;
  }
  Budget budget(most_values(size_));
  for (size_t group = 0; group + 1 < first_rows_.size(); ++group)
    read_group(static_cast<int>(group), leaves, budget, use);
}

void TableFile::read_group(int group, const std::vector<int>& leaves, Budget& budget,
                           const ParquetTable::UseRow& use) {
  int64_t row = first_rows_[static_cast<size_t>(group)];
  const int64_t end = first_rows_[static_cast<size_t>(group) + 1];
  reader_->set_batch_size(kRowsOfABatch);
  const auto batches = checked(reader_->GetRecordBatchReader({group}, leaves));
  std::shared_ptr<arrow::RecordBatch> batch;
  while (row < end) {
    batch.reset();
    check(batches->ReadNext(&batch));
    if (batch == nullptr) throw std::runtime_error("a row group ends before its last row");
    check(batch->Validate());
    for (int64_t at = 0; at < batch->num_rows() && row < end; ++at, ++row) {
      nlohmann::json object = nlohmann::json::object();
      for (int i = 0; i < batch->num_columns(); ++i) {
        const std::string& name = batch->schema()->field(i)->name();
        try {
          object[name] = cell(*batch->column(i), at, budget);
        } catch (const BrokenText& error) {
          throw std::runtime_error("row " + std::to_string(row) + ": '" + name +
                                   "': " + error.what());
        }
      }
      use(row, std::move(object));
    }
  }
}

ParquetTable::Bytes TableFile::read_bytes(int64_t row, const std::string& name) {
  const Column& from = column(name);
  if (from.bytes < 0) throw std::runtime_error("its column '" + name + "' holds no bytes");
  if (row < 0 || row >= rows()) throw std::out_of_range("a row that is not there");
  const auto after = std::upper_bound(first_rows_.begin(), first_rows_.end(), row);
  const auto group = static_cast<int>(after - first_rows_.begin()) - 1;
  BytesCursor& cursor = cursors_.try_emplace(name, *reader_, from.bytes).first->second;
  return cursor.read(group, row - first_rows_[static_cast<size_t>(group)]);
}

}  // namespace elastikv::parquet_module
