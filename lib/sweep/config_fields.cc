#include "sweep/config_fields.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/fields.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLongestRange = 1000;

std::string_view growth_name(Growth growth) {
  return growth == Growth::kGeneration ? "generation" : "prompt";
}

/// Digits after the point as written; -1 for a number with an exponent.
int decimals(std::string_view number) {
  if (number.find_first_of("eE") != std::string_view::npos) return -1;
  const size_t point = number.find('.');
  return point == std::string_view::npos ? 0 : static_cast<int>(number.size() - point - 1);
}

/// The place of a sign in a number's or range's text that is not an exponent's, from `start`.
size_t find_sign(std::string_view text, std::string_view signs, size_t start) {
  size_t at = text.find_first_of(signs, start);
  while (at != std::string_view::npos && at > 0 && (text[at - 1] == 'e' || text[at - 1] == 'E'))
    at = text.find_first_of(signs, at + 1);
  return at;
}

/// What a list or range means, one by one.
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

/// A copy with a scalar at a key. Numbers and words stay plain, so that a dump has them as they
/// were written; other texts are quoted, or they might mean something in YAML.
YamlFields with_scalar(const YamlFields& fields, const std::string& key, const std::string& text) {
  if (as_label(text) == text) return fields.with(key, text);
  return fields.with(key, nlohmann::json(text).dump());
}

/// "sinks2", "granularity-layer": a key and its value as part of a name. A component stands for
/// itself by its kind.
std::string name_part(std::string_view key, const std::string& text) {
  std::string value = text;
  if (text.find("kind:") != std::string::npos)
    value = YamlFields::parse(text, "a component").string("kind", "unnamed");
  double number = 0;
  return as_label(fmt::format("{}{}{}", key, parse_double(value, number) ? "" : "-", value));
}

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

}  // namespace

std::vector<YamlFields> one_or_list(const YamlFields& node) {
  if (!node.is_list()) return {node};
  std::vector<YamlFields> items = node.items();
  if (items.empty()) node.fail_here("needs at least one entry");
  return items;
}

int64_t at_least(const YamlFields& fields, std::string_view key, int64_t least, int64_t otherwise,
                 int64_t most) {
  if (!fields.has(key)) return otherwise;
  const YamlFields node = fields.at(key);
  const int64_t value = node.as_integer();
  if (value < least) {
    node.fail_here(fmt::format("is {}, needs to be at least {}", value, least));
  }
  if (value > most) node.fail_here(fmt::format("is {}, may be at most {}", value, most));
  return value;
}

std::string label_of(const YamlFields& node) {
  std::string label = node.as_string();
  const bool fits = !label.empty() && std::all_of(label.begin(), label.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '+';
  });
  if (!fits) {
    node.fail_here(
        fmt::format("is '{}', a name may have letters, digits and the characters . _ - +", label));
  }
  return label;
}

std::string as_label(std::string text) {
  for (char& c : text) {
    const bool fits = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' ||
                      c == '-' || c == '+';
    if (!fits) c = '-';
  }
  return text.empty() ? "unnamed" : text;
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

std::string folder_label(const std::filesystem::path& folder) {
  // "x/" has an empty file name; the folder is meant.
  const auto path = folder.has_filename() ? folder : folder.parent_path();
  return as_label(path.filename().string());
}

std::string place_of(const YamlFields& node) {
  return fmt::format("{}:{}", node.origin(), node.line());
}

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (size_t comma = text.find(','); comma != std::string_view::npos;
       comma = text.find(',', start)) {
    parts.emplace_back(text.substr(start, comma - start));
    start = comma + 1;
  }
  parts.emplace_back(text.substr(start));
  return parts;
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

std::vector<StrategyChoice> read_strategies(const YamlFields& node) {
  StrategyChoice strategy;
  strategy.origin = place_of(node);
  if (node.is_scalar()) {
    strategy.preset = label_of(node);
    strategy.label = strategy.name = strategy.preset;
    return {strategy};
  }
  node.require_known_keys({"preset", "name", "set"});
  strategy.preset = label_of(node.at("preset"));
  strategy.name = node.has("name") ? label_of(node.at("name")) : strategy.preset;
  strategy.label = strategy.name;
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

void read_numbers(const YamlFields& list,
                  const std::function<void(const YamlFields&, double)>& use) {
  for (const YamlFields& node : one_or_list(list)) {
    const std::vector<double> range =
        node.is_scalar() ? checked(node, [&] { return expand_range(node.as_string()); })
                         : std::vector<double>{};
    if (range.empty()) {
      use(node, node.as_number());
    } else {
      for (const double value : range) use(node, value);
    }
  }
}

std::vector<BudgetChoice> read_budgets(const YamlFields& fields) {
  fields.require_known_keys({"keep", "keep_tokens", "growth"});
  std::vector<Growth> growths;
  if (fields.has("growth")) {
    for (const YamlFields& node : one_or_list(fields.at("growth"))) {
      const std::string name = node.as_string();
      if (name != "generation" && name != "prompt") {
        node.fail_here(fmt::format("is '{}', needs generation or prompt", name));
      }
      growths.push_back(name == "generation" ? Growth::kGeneration : Growth::kPrompt);
    }
  } else {
    growths.push_back(Growth::kGeneration);
  }
  std::vector<BudgetChoice> budgets;
  std::set<std::string> seen;
  const auto add = [&](const YamlFields& node, BudgetChoice budget) {
    if (!seen.insert(budget.text()).second) {
      node.fail_here(fmt::format("gives the budget {} twice", budget.text()));
    }
    budgets.push_back(budget);
  };
  if (fields.has("keep")) {
    for (const Growth growth : growths) {
      read_numbers(fields.at("keep"), [&](const YamlFields& node, double keep) {
        if (!(keep > 0 && keep <= 1)) {
          node.fail_here(
              fmt::format("is {}, a budget is a fraction kept: above 0 and at most 1", keep));
        }
        add(node, BudgetChoice{keep, std::nullopt, growth});
      });
    }
  }
  if (fields.has("keep_tokens")) {
    read_numbers(fields.at("keep_tokens"), [&](const YamlFields& node, double tokens) {
      if (!(tokens >= 1 && tokens <= 1e9) || tokens != std::floor(tokens)) {
        node.fail_here(fmt::format("is {}, needs a whole number of tokens from 1", tokens));
      }
      add(node, BudgetChoice{std::nullopt, static_cast<int64_t>(tokens), Growth::kPrompt});
    });
  }
  return budgets;
}

nlohmann::ordered_json budgets_json(const std::vector<BudgetChoice>& budgets) {
  Json keep = Json::array();
  Json keep_tokens = Json::array();
  Json growth = Json::array();
  const auto add_once = [](Json& list, const Json& value) {
    if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
  };
  for (const BudgetChoice& budget : budgets) {
    if (budget.keep_tokens) {
      keep_tokens.push_back(*budget.keep_tokens);
    } else {
      add_once(keep, *budget.keep);
      add_once(growth, growth_name(budget.growth));
    }
  }
  Json json = Json::object();
  if (!keep.empty()) json["keep"] = std::move(keep);
  if (!keep_tokens.empty()) json["keep_tokens"] = std::move(keep_tokens);
  if (!growth.empty()) json["growth"] = std::move(growth);
  return json;
}

nlohmann::ordered_json strategy_json(const StrategyChoice& strategy) {
  Json set = Json::object();
  for (const auto& [key, value] : strategy.overrides) set[key] = value;
  return {{"name", strategy.label}, {"preset", strategy.preset}, {"set", std::move(set)}};
}

std::pair<std::string, std::string> parse_set_option(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    fail("--set {}: needs the form key.subkey=value", text);
  }
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string set_value(std::string_view key, std::string_view text) {
  const bool yaml = text.empty() || text.find_first_of("[{\"'") == 0;
  if (yaml || text.find(',') == std::string_view::npos) return std::string(text);
  for (const std::string& part : split_commas(text)) {
    if (part.find_first_not_of(' ') == std::string::npos)
      fail("--set {}={}: the list has an empty entry", key, text);
  }
  return fmt::format("[{}]", text);
}

std::vector<double> expand_range(std::string_view text) {
  double value = 0;
  if (parse_double(text, value)) return {};  // "1e-3" is a number
  const size_t dash = text.empty() ? std::string_view::npos : find_sign(text, "-", 1);
  if (dash == std::string_view::npos) return {};
  const size_t sign = find_sign(text, "+*", dash);
  const std::string_view first_text = text.substr(0, dash);
  const std::string_view last_text =
      text.substr(dash + 1, sign == std::string_view::npos ? sign : sign - dash - 1);
  const std::string_view step_text =
      sign == std::string_view::npos ? std::string_view("1") : text.substr(sign + 1);
  double first = 0;
  double last = 0;
  double step = 0;
  if (!parse_double(first_text, first) || !parse_double(last_text, last)) return {};
  if (!parse_double(step_text, step)) {
    fail("range '{}' has the step '{}', needs a number after its '{}'", text, step_text,
         text[sign]);
  }
  const bool whole = first == std::floor(first) && last == std::floor(last);
  if (sign == std::string_view::npos && !whole) {
    fail("range '{}' needs a step, for example {}+0.1", text, text);
  }
  const bool multiplies = sign != std::string_view::npos && text[sign] == '*';
  const bool usable = std::isfinite(first) && std::isfinite(last) && std::isfinite(step) &&
                      first <= last && (multiplies ? step > 1 && first > 0 : step > 0);
  if (!usable) {
    fail("range '{}' needs first <= last and a step that leads from one to the other", text);
  }
  const int written = std::max({decimals(first_text), decimals(last_text), decimals(step_text)});
  const bool round = !multiplies && decimals(first_text) >= 0 && decimals(last_text) >= 0 &&
                     decimals(step_text) >= 0;
  std::vector<double> values;
  const double tolerance = 1e-9 * std::max(1.0, std::abs(last));
  double at = first;
  for (size_t i = 0; at <= last + tolerance; ++i) {
    if (values.size() == kLongestRange) fail("range '{}' has over {} values", text, kLongestRange);
    double exact = at;
    if (round) parse_double(fmt::format("{:.{}f}", at, written), exact);
    values.push_back(exact);
    at = multiplies ? at * step : first + static_cast<double>(i + 1) * step;
  }
  return values;
}

}  // namespace elastikv
