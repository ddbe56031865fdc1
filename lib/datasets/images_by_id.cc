#include "datasets/images_by_id.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "datasets/item_fields.h"
#include "datasets/parquet_files.h"
#include "datasets/row_values.h"
#include "parquet/open.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

fs::path table_path(const ImageTable& table, const fs::path& data) {
  const fs::path folder = is_folder(data) ? data : data.parent_path();
  return (folder / table.path).lexically_normal();
}

std::vector<fs::path> table_files(const fs::path& path, const std::string& split) {
  const std::string name = path.string();
  if (!path_exists(path))
    fail("{}: is not there; 'images_from' names it, seen from the folder of the data", name);
  if (is_folder(path)) {
    if (!holds_parquet(path))
      fail("{}: the folder holds no Parquet files, in which 'images_from' has its images", name);
    return parquet_files(path, split);
  }
  if (!split.empty())
    fail("{}: images_from.split chooses among the files of a folder, this is a file", name);
  std::vector<fs::path> files = parquet_files(path, "");
  if (files.empty()) fail("{}: is no Parquet file, in which 'images_from' has its images", name);
  return files;
}

}  // namespace

ImagesById::ImagesById(const ImageTable& table, const fs::path& data, Problems& problems)
    : table_(table),
      path_(table_path(table, data)),
      files_(table_files(path_, table.split)),
      images_(files_) {
  for (size_t file = 0; file < files_.size(); ++file) read_ids(file, problems);
}

void ImagesById::read_ids(size_t file, Problems& problems) {
  const std::string name = files_[file].string();
  const ParquetTable table = open_parquet(files_[file]);
  const std::vector<std::string> present = column_names(table);
  const std::string ids = required_column("images_from.id is", table_.id, present, name);
  columns_.push_back(required_column("images_from.image is", table_.image, present, name));
  if (!holds_bytes(table, columns_.back())) {
    fail("{}: images_from.image is '{}', a column without bytes, which images are", name,
         table_.image);
  }
  Problems found(name);
  table.read_rows({ids}, [&](int64_t row, nlohmann::json&& object) {
    std::string id =
        id_text(value_at(object, table_.id), table_.id.c_str(), fmt::format("row {}", row), found);
    if (id.empty()) return;
    const Place place{file, row};
    const auto [entry, is_new] = by_id_.try_emplace(std::move(id), Rows{place, std::nullopt});
    if (!is_new && !entry->second.again) entry->second.again = place;
  });
  problems.add_all(found);
}

ImagesById::Named ImagesById::find(const std::string& id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    return {std::nullopt, ProblemKind::kMissingImage,
            fmt::format("no image has the id '{}' in {}", shortened(id), path_.string())};
  }
  const Rows& rows = found->second;
  if (rows.again) {
    return {std::nullopt, ProblemKind::kRepeatedId,
            fmt::format("several images have the id '{}' in {}: {} and {}", shortened(id),
                        path_.string(), row_at(rows.first), row_at(*rows.again))};
  }
  return {rows.first, ProblemKind::kMissingImage, ""};
}

std::string ImagesById::read(const Place& place) {
  const ParquetTable::Bytes& bytes = images_.in_row(place.file, place.row, columns_[place.file]);
  const auto refuse = [&](const std::string& why) {
    fail("{}: row {}: {}", files_[place.file].string(), place.row, why);
  };
  if (bytes.size() != 1)
    refuse(fmt::format("'{}' holds {} images, one is needed", table_.image, bytes.size()));
  if (!bytes.front() || bytes.front()->empty())
    refuse(fmt::format("the image is {}", bytes.front() ? "of 0 bytes" : "null"));
  return *bytes.front();
}

std::string ImagesById::row_at(const Place& place) const {
  if (files_.size() == 1) return fmt::format("row {}", place.row);
  return fmt::format("row {} of {}", place.row, files_[place.file].filename().string());
}

}  // namespace elastikv
