#include "datasets/parquet_reader.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "datasets/columns_reader.h"
#include "datasets/item_fields.h"
#include "datasets/parquet_images.h"
#include "parquet/open.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// A row on its way.
struct Row {
  Json object;
  size_t file = 0;    // among Reading::parquet
  int64_t row = 0;    // in it
  int64_t index = 0;  // in all of them
  std::string where;
};

/// Calls `use` with all rows of all files: `columns_of` a table are read, in the files' order.
void for_each_row(
    const Reading& reading,
    const std::function<std::vector<std::string>(const ParquetTable&, const std::string& file)>&
        columns_of,
    const std::function<void(const ParquetTable&, Row)>& use) {
  int64_t index = 0;
  for (size_t i = 0; i < reading.parquet.size(); ++i) {
    const std::filesystem::path& file = reading.parquet[i];
    const ParquetTable table = open_parquet(file);
    // The file is named where it is not the one that the report begins with.
    const std::string in_file =
        file.string() == reading.problems.file() ? "" : " of " + file.filename().string();
    table.read_rows(columns_of(table, file.string()), [&](int64_t row, Json&& object) {
      use(table, {std::move(object), i, row, index++, fmt::format("row {}{}", row, in_file)});
    });
  }
}

}  // namespace

void read_parquet_by_columns(const Reading& reading) {
  ColumnsReader rows(reading);
  const auto images = std::make_shared<ParquetImages>(reading.parquet);
  for_each_row(
      reading,
      [&](const ParquetTable& table, const std::string& file) {
        return rows.needed(column_names(table), file);
      },
      [&](const ParquetTable& table, const Row& row) {
        rows.read(row.object, row.index, row.where,
                  [&](const std::string& name) -> std::optional<std::vector<ImageSource>> {
                    // Whatever the name leads to in a column of images is the images.
                    const std::string column =
                        row.object.contains(name) ? name : name.substr(0, name.find('.'));
                    if (!holds_bytes(table, column)) return std::nullopt;
                    return images->sources(row.object.at(column), row.file, row.row, column);
                  });
      });
  rows.finish();
}

std::vector<Item> parquet_items(const Reading& reading) {
  std::vector<Item> items;
  const auto images = std::make_shared<ParquetImages>(reading.parquet);
  for_each_row(
      reading,
      [&](const ParquetTable& table, const std::string&) {
        std::vector<std::string> used;
        for (const std::string& name : column_names(table)) {
          if (is_read_of_items(name)) used.push_back(name);
        }
        return used;
      },
      [&](const ParquetTable& table, Row row) {
        std::vector<ImageSource> held;
        for (const char* key = image_key(row.object);
             key != nullptr && holds_bytes(table, key) && held.empty();
             key = image_key(row.object)) {
          held = images->sources(row.object[key], row.file, row.row, key);
          if (held.empty()) row.object.erase(key);  // a list of nothing but null
        }
        items.push_back({std::make_shared<const Json>(std::move(row.object)), row.index,
                         std::move(row.where), "", std::move(held)});
      });
  return items;
}

}  // namespace elastikv
