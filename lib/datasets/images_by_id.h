#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "datasets/columns.h"
#include "datasets/parquet_images.h"
#include "datasets/problems.h"

namespace elastikv {

/// The images of a table that lies beside a data set's questions, by their ids. The ids are in
/// memory; images are read when they are wanted, in the table's order at the least cost.
class ImagesById {
 public:
  /// Where an image is: in which file of the table, and in which row of that.
  struct Place {
    size_t file = 0;
    int64_t row = 0;
    // NOLINTNEXTLINE(modernize-use-nullptr): the comparison with 0 is the compiler's
    auto operator<=>(const Place&) const = default;
  };
  /// What an id leads to: a place, or why it names no image.
  struct Named {
    std::optional<Place> place;
    ProblemKind kind = ProblemKind::kMissingImage;
    std::string problem;
  };

  /// Reads the ids; `data` is the data set's file or folder. Notes ids that are no text or integer.
  /// Error when there is no such table, or it has not the columns.
  ImagesById(const ImageTable& table, const std::filesystem::path& data, Problems& problems);

  Named find(const std::string& id) const;
  /// The bytes of an image. Error naming file and row where there is not exactly one.
  std::string read(const Place& place);

 private:
  struct Rows {
    Place first;
    std::optional<Place> again;  // of the same id
  };
  void read_ids(size_t file, Problems& problems);
  std::string row_at(const Place& place) const;

  ImageTable table_;
  std::filesystem::path path_;
  std::vector<std::filesystem::path> files_;
  std::vector<std::string> columns_;  // of images, by file
  std::unordered_map<std::string, Rows> by_id_;
  ParquetImages images_;
};

}  // namespace elastikv
