#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "datasets/draft.h"
#include "datasets/problems.h"

namespace elastikv {

/// A piece of a data file that becomes one sample or several.
struct Item {
  std::shared_ptr<const nlohmann::json> value;
  int64_t index = 0;  // in the file, from 0
  std::string where;  // "item 3", "line 4", "entry 'v1_0'" or "row 5"
  std::string key;    // of an entry
  /// Its images, where the file holds their bytes; none: the value names them.
  std::vector<ImageSource> images{};
};

/// What a JSON file holds: items, or one object.
struct JsonFile {
  std::vector<Item> items;
  std::shared_ptr<const nlohmann::json> object;  // null: items
};

/// Whether a text begins as JSON does.
bool looks_like_json(std::string_view text);

/// Reads a JSON array or JSON lines (items), or a single object, which may stand on one line. A
/// line that is not JSON is noted; Error with line and column for other text that is not, and for a
/// file without items.
JsonFile read_json(std::string_view text, Problems& problems);

/// Items without those that are no objects, which are noted.
std::vector<Item> objects_among(std::vector<Item> items, Problems& problems);

/// The entries of the object that a text is, in the text's order. A repeated key, whose first entry
/// is lost, is noted.
std::vector<Item> read_entries(std::string_view text,
                               const std::shared_ptr<const nlohmann::json>& object,
                               Problems& problems);

}  // namespace elastikv
