#include "sweep/strategy_choice.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/fields.h"
#include "base/keys.h"
#include "base/yaml_values.h"
#include "sweep/labels.h"
#include "sweep/variants.h"

namespace elastikv {
namespace {

/// A parameter of a strategy and its values.
struct Setting {
  std::string key;  // dotted
  struct Value {
    std::string suffix;  // of the strategy's name where there are several values
    std::string text;    // YAML
  };
  std::vector<Value> values;
};

/// The values of a component that is put in the place of the preset's, whole.
std::vector<Setting::Value> components_of(const YamlFields& component) {
  std::vector<VariantKey> keys;
  for (const std::string& key : component.keys())
    keys.push_back({key, /*named=*/true, /*ranges=*/true});
  std::vector<Setting::Value> values;
  for (const Variant& variant : variants_of(component, keys))
    values.push_back({variant.suffix, variant.fields.dump()});
  return values;
}

/// Nested mappings become dotted keys: {a: {b: 1}} is a.b.
void flatten(const YamlFields& fields, const std::string& prefix, std::vector<Setting>& flat) {
  for (const std::string& key : fields.keys()) {
    if (!fields.has(key)) fields.fail_here(fmt::format("has no value at '{}'", key));
    const YamlFields value = fields.at(key);
    const std::string whole = join_key(prefix, key);
    if (value.is_map() && !value.has("kind")) {
      flatten(value, whole, flat);
      continue;
    }
    Setting setting{whole, {}};
    if (value.is_map()) {
      setting.values = components_of(value);
    } else {
      for (const std::string& text : texts_of(value, /*ranges=*/true))
        setting.values.push_back({"", text});
    }
    // The command line may have written {a: {b: 1}} beside a file's {a.b: 2}.
    std::erase_if(flat, [&](const Setting& other) { return other.key == whole; });
    flat.push_back(std::move(setting));
  }
}

/// Names the values of settings that have several: by the last part of the key, or by all of it
/// where another such key ends alike.
void name_values(std::vector<Setting>& settings) {
  const auto last_part = [](const std::string& key) { return key.substr(key.rfind('.') + 1); };
  for (Setting& setting : settings) {
    if (setting.values.size() < 2) continue;
    const auto alike = std::count_if(settings.begin(), settings.end(), [&](const Setting& other) {
      return other.values.size() > 1 && last_part(other.key) == last_part(setting.key);
    });
    const std::string name = alike > 1 ? setting.key : last_part(setting.key);
    for (Setting::Value& value : setting.values) {
      if (value.suffix.empty()) value.suffix = fmt::format("-{}", name_part(name, value.text));
    }
  }
}

OrderedJson overrides_json(const StrategyChoice& strategy) {
  OrderedJson set = OrderedJson::object();
  for (const auto& [key, value] : strategy.overrides) set[key] = value;
  return set;
}

}  // namespace

const Keys<StrategyChoice>& strategy_keys() {
  static const Keys<StrategyChoice> keys([](Keys<StrategyChoice>& keys) {
    keys.add("name", &StrategyChoice::label, label_form(), "What tables and cells call it.",
             {.otherwise = "the preset's"});
    keys.add("preset", &StrategyChoice::preset, label_form(),
             "One of `elastikv list strategies`. A strategy that is a preset as it is needs no "
             "mapping, its name will do.",
             {.required = true});
    keys.custom("set", {.write = overrides_json}, "mapping",
                "Parameters that differ from the preset's (`selection.sinks: 4`), or whole "
                "components in place of its own. Each may list values or give a range.");
  });
  return keys;
}

std::vector<StrategyChoice> read_strategies(const YamlFields& node) {
  StrategyChoice strategy;
  strategy.origin = place_of(node);
  if (node.is_scalar()) {
    strategy.preset = label_of(node);
    strategy.label = strategy.name = strategy.preset;
    return {strategy};
  }
  strategy_keys().read(node, strategy);
  if (strategy.label.empty()) strategy.label = strategy.preset;
  strategy.name = strategy.label;
  std::vector<Setting> settings;
  if (node.has("set")) flatten(node.at("set"), "", settings);
  name_values(settings);
  std::vector<StrategyChoice> strategies{strategy};
  for (const Setting& setting : settings) {
    std::vector<StrategyChoice> all;
    for (const StrategyChoice& known : strategies) {
      for (const Setting::Value& value : setting.values) {
        all.push_back(known);
        all.back().label += value.suffix;
        all.back().overrides.emplace_back(setting.key, value.text);
      }
    }
    strategies = std::move(all);
  }
  return strategies;
}

std::vector<StrategyChoice> read_all_strategies(const YamlFields& node) {
  std::vector<StrategyChoice> strategies;
  for (const YamlFields& entry : one_or_list(node)) {
    for (StrategyChoice& strategy : read_strategies(entry))
      strategies.push_back(std::move(strategy));
  }
  require_unique(
      strategies, node, [](const StrategyChoice& s) { return s.label; },
      "give them different names");
  return strategies;
}

bool need_budgets(const std::vector<StrategyChoice>& strategies) {
  return std::any_of(strategies.begin(), strategies.end(),
                     [](const StrategyChoice& strategy) { return strategy.preset != "full"; });
}

}  // namespace elastikv
