#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/key_table.h"
#include "base/yaml_fields.h"

namespace elastikv {

// Mappings with keys that list several values, each of which makes a thing of its own.

/// A mapping for each combination of values that some of its keys list.
struct Variant {
  YamlFields fields;   ///< with one value at each of the keys
  std::string suffix;  ///< "-sinks2-granularity-layer": what tells a name from the others
};
/// A key of a mapping that may list values.
struct VariantKey {
  std::string key;
  bool named = true;    ///< false: the name follows from the value anyhow, as from a path
  bool ranges = false;  ///< "1-4+1" counts
};
/// The mapping once for each combination, the first key's values outermost; itself when no key
/// lists several.
std::vector<Variant> variants_of(const YamlFields& fields, const std::vector<VariantKey>& keys);

/// The keys that may list, in their order, as the mapping calls them.
std::vector<VariantKey> listed_keys(const KeyTable& keys, const YamlFields& fields);

/// What a list or range means, one by one, as YAML.
std::vector<std::string> texts_of(const YamlFields& value, bool ranges);

/// "sinks2", "granularity-layer": a key and its value as part of a name. A component stands for
/// itself by its kind.
std::string name_part(std::string_view key, const std::string& text);

/// Error for a name that would be that of several things: `name_key` beside one of `keys` that
/// lists several values.
void require_no_name(const YamlFields& fields, std::string_view name_key,
                     const std::vector<std::string>& keys);

}  // namespace elastikv
