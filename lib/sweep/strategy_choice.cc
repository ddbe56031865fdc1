#include "sweep/strategy_choice.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/fields.h"
#include "base/keys.h"
#include "base/yaml_values.h"
#include "strategies/registry.h"
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

/// The name of a preset, or the path of one.
std::string preset_of(const YamlFields& node) {
  std::string preset = node.as_string();
  return is_preset_path(preset) ? preset : label_of(node);
}

ValueForm<std::string> preset_form() {
  return {preset_of, [](const std::string& preset) { return OrderedJson(preset); },
          "name, or path"};
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
    keys.add("preset", &StrategyChoice::preset, preset_form(),
             "One of `elastikv list strategies`, or a file of that form (`my/preset.yaml`). A "
             "strategy that is a preset as it is needs no mapping, its name will do.",
             {.required = true});
    keys.custom("set", {.write = overrides_json}, "mapping",
                "Parameters that differ from the preset's (`selection.sinks: 4`), or whole "
                "components in place of its own. Each may list values or give a range.");
    keys.custom("compress_at",
                {.write =
                     [](const StrategyChoice& strategy) {
                       const CompressAt at = strategy.moment.at;
                       return at == CompressAt::kPromptEnd ? OrderedJson()
                                                           : OrderedJson(compress_at_name(at));
                     }},
                or_list(compress_at_form().takes, /*ranges=*/false),
                "In sweeps: when it compresses. A list makes a strategy of each.",
                {.otherwise = "the sweep's `compress_at`"});
    keys.custom("question",
                {.write =
                     [](const StrategyChoice& strategy) {
                       const CompressionMoment& moment = strategy.moment;
                       return moment.at != CompressAt::kBeforeQuestion || moment.keeps_question()
                                  ? OrderedJson()
                                  : OrderedJson(question_entries_name(moment.question));
                     }},
                question_entries_form().takes,
                "In sweeps: what becomes of the entries of a question that comes later.",
                {.otherwise = "the sweep's `question`"});
  });
  return keys;
}

ValueForm<CompressAt> compress_at_form() {
  return named_form<CompressAt>({kCompressMoments.begin(), kCompressMoments.end()},
                                compress_at_name);
}

ValueForm<QuestionEntries> question_entries_form() {
  return named_form<QuestionEntries>({QuestionEntries::kKeep, QuestionEntries::kPolicy},
                                     question_entries_name);
}

std::vector<CompressAt> read_moments(const YamlFields& node) {
  const ValueForm<CompressAt> form = compress_at_form();
  std::vector<CompressAt> moments;
  for (const YamlFields& entry : one_or_list(node)) {
    moments.push_back(form.read(entry));
    if (std::count(moments.begin(), moments.end(), moments.back()) > 1)
      entry.fail_here(fmt::format("lists '{}' twice", compress_at_name(moments.back())));
  }
  return moments;
}

std::vector<StrategyChoice> at_moments(const StrategyChoice& strategy,
                                       const std::vector<CompressAt>& moments,
                                       QuestionEntries question) {
  if (strategy.preset == kFullCache) return {strategy};
  std::vector<StrategyChoice> all;
  for (const CompressAt at : moments) {
    StrategyChoice& one = all.emplace_back(strategy);
    one.moment = {at, at == CompressAt::kBeforeQuestion ? question : QuestionEntries::kKeep};
    one.says_moment = true;
    if (at != CompressAt::kPromptEnd) one.label += fmt::format("-{}", one.moment.name());
  }
  return all;
}

std::vector<StrategyChoice> read_strategies(const YamlFields& node) {
  StrategyChoice strategy;
  strategy.origin = place_of(node);
  if (node.is_scalar()) {
    strategy.preset = preset_of(node);
    strategy.label = strategy.name = preset_label(strategy.preset);
    return {strategy};
  }
  strategy_keys().read(node, strategy);
  if (strategy.label.empty()) strategy.label = preset_label(strategy.preset);
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
  if (!node.has("compress_at")) {
    if (node.has("question"))
      node.at("question").fail_here("needs compress_at: before_question beside it");
    return strategies;
  }
  const std::vector<CompressAt> moments = read_moments(node.at("compress_at"));
  const QuestionEntries question = node.has("question")
                                       ? question_entries_form().read(node.at("question"))
                                       : QuestionEntries::kKeep;
  if (strategy.preset == kFullCache) {
    node.at("compress_at").fail_here("says when the full cache is compressed, which it never is");
  }
  std::vector<StrategyChoice> all;
  for (const StrategyChoice& known : strategies) {
    for (StrategyChoice& one : at_moments(known, moments, question)) {
      // A name that was given to one strategy is its name.
      if (moments.size() == 1 && node.has("name")) one.label = known.label;
      all.push_back(std::move(one));
    }
  }
  return all;
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

void add_plugins(const std::vector<std::string>& more, std::vector<std::string>& plugins) {
  for (const std::string& file : more) {
    if (std::find(plugins.begin(), plugins.end(), file) == plugins.end()) plugins.push_back(file);
  }
}

std::string preset_label(const std::string& preset) {
  return is_preset_path(preset) ? as_label(preset_name(preset)) : preset;
}

bool need_budgets(const std::vector<StrategyChoice>& strategies) {
  return std::any_of(strategies.begin(), strategies.end(),
                     [](const StrategyChoice& s) { return s.preset != kFullCache; });
}

}  // namespace elastikv
