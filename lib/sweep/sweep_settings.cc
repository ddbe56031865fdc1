#include "sweep/sweep_settings.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/keys.h"
#include "base/nearest_name.h"
#include "base/yaml_values.h"
#include "sweep/data_choice.h"
#include "sweep/model_choice.h"
#include "sweep/strategy_choice.h"
#include "sweep/sweep_keys.h"

namespace elastikv {
namespace {

/// A setting's key as a mapping calls it, which may have its earlier name.
std::string called_in(const YamlFields& entry, const KeyTable& keys, const std::string& key) {
  const std::string first = key.substr(0, key.find('.'));
  const Key* known = keys.find(first);
  if (known == nullptr || !entry.has(known->name_in(entry))) return key;
  return known->name_in(entry) + key.substr(first.size());
}

/// A setting of all entries of models or data, or of one with its index.
YamlFields with_entry_setting(const YamlFields& root, const std::string& section,
                              const KeyTable& keys, const std::string& rest,
                              const std::string& value) {
  int64_t index = 0;
  const size_t end = std::min(rest.find('.'), rest.size());
  const bool indexed = parse_int(rest.substr(0, end), index);
  const bool inside = indexed && end < rest.size();
  if (!root.has(section) || !root.at(section).is_list()) {
    const std::string key = inside && index == 0 ? rest.substr(end + 1) : rest;
    const std::string called = root.has(section) ? called_in(root.at(section), keys, key) : key;
    return root.with(join_key(section, called), value);
  }
  const std::vector<YamlFields> entries = root.at(section).items();
  const auto with = [&](const YamlFields& fields, size_t i, const std::string& key) {
    return fields.with(fmt::format("{}.{}.{}", section, i, called_in(entries[i], keys, key)),
                       value);
  };
  if (indexed) {
    const bool there = inside && index >= 0 && index < std::ssize(entries);
    return there ? with(root, static_cast<size_t>(index), rest.substr(end + 1))
                 : root.with(join_key(section, rest), value);  // the entry itself, or an Error
  }
  YamlFields changed = root;
  for (size_t i = 0; i < entries.size(); ++i) changed = with(changed, i, rest);
  return changed;
}

/// The names of the strategies' entries.
std::vector<std::string> strategy_names(const YamlFields& root) {
  std::vector<std::string> names;
  if (!root.has("strategies")) return names;
  for (const YamlFields& node : one_or_list(root.at("strategies"))) {
    const std::string preset = node.is_scalar() ? node.as_string() : node.string("preset", "");
    const std::string label = preset_label(preset);
    names.push_back(node.is_map() ? node.string("name", label) : label);
  }
  return names;
}

/// A setting of a strategy's entry, which becomes a mapping if it only names a preset.
YamlFields with_strategy_setting(const YamlFields& root, int64_t index, const std::string& rest,
                                 const std::string& value) {
  const bool list = root.has("strategies") && root.at("strategies").is_list();
  const std::string place =
      list || index != 0 ? fmt::format("strategies.{}", index) : std::string("strategies");
  YamlFields changed = root;
  const std::vector<YamlFields> entries =
      root.has("strategies") ? one_or_list(root.at("strategies")) : std::vector<YamlFields>{};
  const auto i = static_cast<size_t>(index);
  if (index >= 0 && i < entries.size() && entries[i].is_scalar())
    changed = changed.with(
        place, fmt::format("{{preset: {}}}", OrderedJson(entries[i].as_string()).dump()));
  return changed.with(join_key(place, rest), value);
}

}  // namespace

YamlFields with_sweep_setting(const YamlFields& root, const std::string& key,
                              const std::string& value) {
  const size_t dot = key.find('.');
  if (dot == std::string::npos) return root.with(key, value);
  const std::string head = key.substr(0, dot);
  std::string rest = key.substr(dot + 1);
  if (head == "models") return with_entry_setting(root, head, model_keys(), rest, value);
  if (head == "data") return with_entry_setting(root, head, data_keys(), rest, value);
  if (head == "strategies") {
    int64_t index = 0;
    const size_t end = std::min(rest.find('.'), rest.size());
    if (end == rest.size() || !parse_int(rest.substr(0, end), index)) return root.with(key, value);
    return with_strategy_setting(root, index, rest.substr(end + 1), value);
  }
  const std::vector<std::string> keys = sweep_keys().names();
  if (std::find(keys.begin(), keys.end(), head) != keys.end()) return root.with(key, value);
  const std::vector<std::string> names = strategy_names(root);
  const auto named = std::find(names.begin(), names.end(), head);
  if (named == names.end()) {
    // A slip in a key is told as in a file.
    if (!nearest_name(head, keys).empty()) return root.with(key, value);
    std::vector<std::string> known = keys;
    known.insert(known.end(), names.begin(), names.end());
    fail("--set {}: '{}' is neither a key of a sweep nor a strategy of {}{}", key, head,
         root.origin(), suggestion(head, known));
  }
  return with_strategy_setting(root, named - names.begin(), "set." + rest, value);
}

}  // namespace elastikv
