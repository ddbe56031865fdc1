#include "base/key_table.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/yaml_values.h"

namespace elastikv {
namespace {

/// The value at a key; null without one.
OrderedJson json_at(const OrderedJson& json, const std::string& name) {
  const auto found = json.find(name);
  return found == json.end() ? OrderedJson() : *found;
}

}  // namespace

const std::string& Key::name_in(const YamlFields& fields) const {
  return !traits.earlier.empty() && fields.has(traits.earlier) ? traits.earlier : name;
}

std::vector<std::string> KeyTable::names() const {
  std::vector<std::string> names;
  names.reserve(keys_.size());
  for (const Key& key : keys_) names.push_back(key.name);
  return names;
}

const Key* KeyTable::find(std::string_view name) const {
  const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) {
    return key.name == name || (!key.traits.earlier.empty() && key.traits.earlier == name);
  });
  return found == keys_.end() ? nullptr : &*found;
}

void KeyTable::check(const YamlFields& fields) const {
  std::vector<std::string> earlier;
  for (const Key& key : keys_) {
    if (!key.traits.earlier.empty()) earlier.push_back(key.traits.earlier);
  }
  fields.require_known_keys(names(), earlier);
  for (const Key& key : keys_) {
    if (key.name_in(fields) == key.name || !fields.has(key.name)) continue;
    fields.at(key.traits.earlier)
        .fail_here(fmt::format("is the earlier name of '{}', which is given too", key.name));
  }
}

std::map<std::string, std::string> KeyTable::earlier_names_in(const YamlFields& fields) const {
  std::map<std::string, std::string> notes;
  if (!fields.is_map()) return notes;
  for (const Key& key : keys_) {
    const std::string& name = key.name_in(fields);
    if (!fields.has(name)) continue;
    const YamlFields value = fields.at(name);
    if (name != key.name) {
      notes.try_emplace(name, fmt::format("{}:{}: '{}' is now called '{}'; both names are read",
                                          value.origin(), value.line(), name, key.name));
    }
    if (key.inner == nullptr) continue;
    for (const YamlFields& entry : any_or_none(value))
      notes.merge(key.inner->earlier_names_in(entry));
  }
  return notes;
}

OrderedJson KeyTable::hashed_part(OrderedJson json) const {
  for (const Key& key : keys_) {
    const auto found = json.find(key.json_name());
    if (found == json.end()) continue;
    if (!key.traits.hashed) {
      json.erase(key.json_name());
      continue;
    }
    if (key.inner == nullptr) continue;
    if (found->is_object()) *found = key.inner->hashed_part(std::move(*found));
    if (!found->is_array()) continue;
    for (OrderedJson& entry : *found) entry = key.inner->hashed_part(std::move(entry));
  }
  return json;
}

std::vector<std::string> KeyTable::differing(const OrderedJson& a, const OrderedJson& b) const {
  const OrderedJson ours = hashed_part(a);
  const OrderedJson theirs = hashed_part(b);
  std::vector<std::string> names;
  for (const Key& key : keys_) {
    if (json_at(ours, key.json_name()) != json_at(theirs, key.json_name()))
      names.push_back(key.name);
  }
  return names;
}

std::string KeyTable::tags(const OrderedJson& json) const {
  std::string text;
  for (const Key& key : keys_) {
    const auto found = json.find(key.json_name());
    if (found == json.end()) continue;
    if (!key.traits.tag.empty()) text += fmt::format(" {}={}", key.traits.tag, found->dump());
    if (key.inner != nullptr && found->is_object()) text += key.inner->tags(*found);
  }
  return text;
}

}  // namespace elastikv
