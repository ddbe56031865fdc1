#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "datasets/multiple_choice.h"
#include "datasets/readers.h"

namespace elastikv {

/// Makes samples of rows by DataOptions::columns, which must be there: of a Parquet file, of items
/// of JSON, or of a table.
class ColumnsReader {
 public:
  /// The images of a column whose bytes the data file holds; nothing for a column of names.
  using ImagesOf =
      std::function<std::optional<std::vector<ImageSource>>(const std::string& column)>;

  explicit ColumnsReader(const Reading& reading);

  /// The columns that are used, each once, of a file that has `present`. Error for one that the
  /// file has not, with those that it has.
  std::vector<std::string> needed(const std::vector<std::string>& present,
                                  const std::string& file) const;
  /// Adds the sample of a row, unless it is of another split. `where`: "row 3"; `images_of` may be
  /// empty.
  void read(const nlohmann::json& row, int64_t index, const std::string& where,
            const ImagesOf& images_of = {});
  /// Error where no row is of the split that is wanted.
  void finish() const;

 private:
  void read_images(const nlohmann::json& row, const ImagesOf& images_of, Draft& draft);
  /// `places`: how many images the row has so far, what is null included.
  void add_image(const nlohmann::json& value, const std::string& column, int64_t& places,
                 Draft& draft);
  void read_max_new_tokens(const nlohmann::json& row, Draft& draft);
  void read_answer(const nlohmann::json& value, const std::vector<Option>& options, Draft& draft);

  const Reading& reading_;
  const DataColumns& columns_;
  std::unordered_set<std::string> other_splits_;
};

/// Reads items of JSON, or a table, by DataOptions::columns.
void read_text_by_columns(const Reading& reading);

}  // namespace elastikv
