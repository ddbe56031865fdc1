#include <memory>
#include <string>
#include <vector>

#include "parquet/module/table_file.h"
#include "parquet/table.h"

/// The module's one function: opens a Parquet file and fills in `table`, which holds it open.
/// Throws std::exception.
extern "C" __attribute__((visibility("default"))) void elastikv_open_parquet(
    const char* file, elastikv::ParquetTable& table) {
  const auto opened = std::make_shared<elastikv::parquet_module::TableFile>(file);
  table.columns = opened->columns();
  table.rows = opened->rows();
  table.read_rows = [opened](const std::vector<std::string>& columns,
                             const elastikv::ParquetTable::UseRow& use) {
    opened->read_rows(columns, use);
  };
  table.read_bytes = [opened](int64_t row, const std::string& column) {
    return opened->read_bytes(row, column);
  };
}
