#include "sweep/variants.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/fields.h"
#include "base/yaml_values.h"
#include "sweep/labels.h"
#include "sweep/ranges.h"

namespace elastikv {
namespace {

/// A copy with a scalar at a key. Numbers and words stay plain, so that a dump has them as they
/// were written; other texts are quoted, or they might mean something in YAML.
YamlFields with_scalar(const YamlFields& fields, const std::string& key, const std::string& text) {
  if (as_label(text) == text) return fields.with(key, text);
  return fields.with(key, nlohmann::json(text).dump());
}

}  // namespace

std::vector<std::string> texts_of(const YamlFields& value, bool ranges) {
  std::vector<std::string> texts;
  for (const YamlFields& node : one_or_list(value)) {
    if (!node.is_scalar()) {
      texts.push_back(node.dump());
      continue;
    }
    const std::vector<double> numbers =
        ranges ? checked(node, [&] { return expand_range(node.as_string()); })
               : std::vector<double>{};
    if (numbers.empty()) texts.push_back(node.as_string());
    for (const double number : numbers) texts.push_back(fmt::format("{}", number));
  }
  return texts;
}

std::string name_part(std::string_view key, const std::string& text) {
  std::string value = text;
  if (text.find("kind:") != std::string::npos)
    value = YamlFields::parse(text, "a component").string("kind", "unnamed");
  double number = 0;
  return as_label(fmt::format("{}{}{}", key, parse_double(value, number) ? "" : "-", value));
}

std::vector<Variant> variants_of(const YamlFields& fields, const std::vector<VariantKey>& keys) {
  std::vector<Variant> variants{{fields, ""}};
  for (const VariantKey& key : keys) {
    if (!fields.has(key.key)) continue;
    const YamlFields value = fields.at(key.key);
    if (value.is_map()) continue;
    const std::vector<std::string> texts = texts_of(value, key.ranges);
    if (texts.size() == 1 && value.is_scalar()) continue;
    std::vector<Variant> all;
    for (const Variant& variant : variants) {
      for (const std::string& text : texts) {
        all.push_back({with_scalar(variant.fields, key.key, text), variant.suffix});
        if (key.named && texts.size() > 1)
          all.back().suffix += fmt::format("-{}", name_part(key.key, text));
      }
    }
    variants = std::move(all);
  }
  return variants;
}

std::vector<VariantKey> listed_keys(const KeyTable& keys, const YamlFields& fields) {
  std::vector<std::pair<int, VariantKey>> listed;
  for (const Key& key : keys.keys()) {
    if (!key.traits.lists) continue;
    const ListedValues& lists = *key.traits.lists;
    listed.push_back({lists.order, {key.name_in(fields), lists.named, lists.ranges}});
  }
  std::stable_sort(listed.begin(), listed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<VariantKey> ordered;
  ordered.reserve(listed.size());
  for (auto& key : listed) ordered.push_back(std::move(key.second));
  return ordered;
}

void require_no_name(const YamlFields& fields, std::string_view name_key,
                     const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (!fields.has(name_key) || !fields.has(key) || !fields.at(key).is_list()) continue;
    const size_t count = fields.at(key).items().size();
    if (count < 2) continue;
    fields.at(name_key).fail_here(
        fmt::format("names one, but '{}' lists {}; leave it out", key, count));
  }
}

}  // namespace elastikv
