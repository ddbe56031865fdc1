#include "sweep/config.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/nearest_name.h"
#include "base/yaml_fields.h"
#include "metrics/text_metrics.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLongestRange = 1000;
constexpr int64_t kMostNewTokens = 1 << 20;

std::string_view growth_name(Growth growth) {
  return growth == Growth::kGeneration ? "generation" : "prompt";
}
std::string_view reference_name(TextReference reference) {
  return reference == TextReference::kFullCache ? "full-cache" : "dataset";
}

/// Digits after the point as written; -1 for a number with an exponent.
int decimals(std::string_view number) {
  if (number.find_first_of("eE") != std::string_view::npos) return -1;
  const size_t point = number.find('.');
  return point == std::string_view::npos ? 0 : static_cast<int>(number.size() - point - 1);
}

/// The elements of a list, or the one thing itself: people write "data: {...}" for one data set.
std::vector<YamlFields> one_or_list(const YamlFields& node) {
  if (!node.is_list()) return {node};
  std::vector<YamlFields> items = node.items();
  if (items.empty()) node.fail_here("needs at least one entry");
  return items;
}

/// Turns the Error of a check that knows nothing of files into one that names this node.
template <typename Check>
auto checked(const YamlFields& node, Check check) {
  try {
    return check();
  } catch (const Error& error) {
    node.fail_here(fmt::format("is not usable: {}", error.what()));
  }
}

int64_t at_least(const YamlFields& fields, std::string_view key, int64_t least, int64_t otherwise,
                 int64_t most = INT64_MAX) {
  if (!fields.has(key)) return otherwise;
  const YamlFields node = fields.at(key);
  const int64_t value = node.as_integer();
  if (value < least) {
    node.fail_here(fmt::format("is {}, needs to be at least {}", value, least));
  }
  if (value > most) node.fail_here(fmt::format("is {}, may be at most {}", value, most));
  return value;
}

/// A name that stands in cell ids, tables and CSV files.
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

/// What a file's or folder's name becomes when it serves as a label.
std::string as_label(std::string text) {
  for (char& c : text) {
    const bool fits = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' ||
                      c == '-' || c == '+';
    if (!fits) c = '-';
  }
  return text.empty() ? "unnamed" : text;
}

std::string place(const YamlFields& node) {
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

std::vector<ModelChoice> read_model(const YamlFields& fields, const SweepOverrides& overrides) {
  fields.require_known_keys({"path", "label", "device", "dtype", "prompt_format"});
  ModelChoice model;
  model.origin = place(fields);
  model.path = fields.string("path");
  if (model.path.empty()) fields.at("path").fail_here("is empty");
  if (fields.has("label")) {
    model.label = label_of(fields.at("label"));
  } else {
    // "x/" has an empty file name; the folder is meant.
    const auto path = model.path.has_filename() ? model.path : model.path.parent_path();
    model.label = as_label(path.filename().string());
  }
  model.device = overrides.device ? *overrides.device : fields.string("device", model.device);
  const auto check_device = [&] { return parse_device(model.device); };
  if (overrides.device) {
    check_device();
  } else {
    checked(fields.has("device") ? fields.at("device") : fields, check_device);
  }
  model.prompt_format = fields.string("prompt_format", model.prompt_format);

  std::vector<ModelChoice> models;
  const auto add = [&](const std::string& name) {
    model.dtype = dtype_name(parse_dtype(name));
    models.push_back(model);
  };
  if (overrides.dtype) {
    for (const std::string& name : split_commas(*overrides.dtype)) add(name);
  } else if (fields.has("dtype")) {
    for (const YamlFields& node : one_or_list(fields.at("dtype"))) {
      const std::string name = node.as_string();
      checked(node, [&] { add(name); });
    }
  } else {
    add(model.dtype);
  }
  return models;
}

/// Windows of tokens, when any of their keys is there.
std::optional<TokenWindows> read_token_windows(const YamlFields& fields) {
  const char* present = nullptr;
  for (const char* key : {"prompt_tokens", "answer_tokens", "stride"}) {
    if (fields.has(key)) present = key;
  }
  if (present == nullptr) return std::nullopt;
  for (const char* key : {"context_words", "answer_words"}) {
    if (!fields.has(key)) continue;
    fields.at(key).fail_here(
        fmt::format("excludes '{}': a text is cut into windows of words or of tokens", present));
  }
  fields.at("prompt_tokens");  // both must be there: no number of tokens suits every model
  fields.at("answer_tokens");
  TokenWindows windows;
  windows.prompt_tokens = at_least(fields, "prompt_tokens", 1, 0, kMostNewTokens);
  windows.answer_tokens = at_least(fields, "answer_tokens", 1, 0, kMostNewTokens);
  if (fields.has("stride")) windows.stride = at_least(fields, "stride", 1, 1, kMostNewTokens);
  return windows;
}

DataOptions read_data_choice(const YamlFields& fields, const SweepOverrides& overrides) {
  fields.require_known_keys({"path", "format", "name", "turn", "image_root", "limit", "offset",
                             "sample_ids", "context_words", "answer_words", "prompt_tokens",
                             "answer_tokens", "stride"});
  DataOptions data;
  data.path = fields.string("path");
  if (data.path.empty()) fields.at("path").fail_here("is empty");
  data.format = fields.string("format", data.format);
  const auto& formats = data_formats();
  if (std::find(formats.begin(), formats.end(), data.format) == formats.end()) {
    fields.at("format").fail_here(
        fmt::format("is '{}', no known format{}", data.format, suggestion(data.format, formats)));
  }
  data.name = fields.has("name") ? label_of(fields.at("name")) : as_label(data_set_name(data.path));
  data.turn = fields.string("turn", data.turn);
  int64_t number = 0;
  if (data.turn != "first" && data.turn != "all" && (!parse_int(data.turn, number) || number < 1)) {
    fields.at("turn").fail_here(
        fmt::format("is '{}', needs first, all or a number from 1", data.turn));
  }
  data.image_root = fields.string("image_root", "");
  if (fields.has("limit")) data.limit = at_least(fields, "limit", 1, 1);
  data.offset = at_least(fields, "offset", 0, data.offset);
  if (fields.has("sample_ids")) {
    for (const YamlFields& id : one_or_list(fields.at("sample_ids"))) {
      data.sample_ids.push_back(id.as_string());
    }
  }
  data.context_words = at_least(fields, "context_words", 1, data.context_words);
  data.answer_words = at_least(fields, "answer_words", 1, data.answer_words);
  data.tokens = read_token_windows(fields);
  if (overrides.limit) {
    if (*overrides.limit < 1) fail("--limit is {}, needs to be at least 1", *overrides.limit);
    data.limit = overrides.limit;
  }
  return data;
}

/// Nested mappings become dotted keys: {a: {b: 1}} is a.b.
void flatten(const YamlFields& fields, const std::string& prefix,
             std::vector<std::pair<std::string, std::string>>& flat) {
  for (const std::string& key : fields.keys()) {
    if (!fields.has(key)) fields.fail_here(fmt::format("has no value at '{}'", key));
    const YamlFields value = fields.at(key);
    // A component with its kind is put in the place of the preset's, whole.
    if (value.is_map() && !value.has("kind")) {
      flatten(value, join_key(prefix, key), flat);
    } else {
      flat.emplace_back(join_key(prefix, key),
                        value.is_scalar() ? value.as_string() : value.dump());
    }
  }
}

StrategyChoice read_strategy(const YamlFields& node) {
  StrategyChoice strategy;
  strategy.origin = place(node);
  if (node.is_scalar()) {
    strategy.preset = label_of(node);
    strategy.label = strategy.preset;
    return strategy;
  }
  node.require_known_keys({"preset", "name", "set"});
  strategy.preset = label_of(node.at("preset"));
  strategy.label = node.has("name") ? label_of(node.at("name")) : strategy.preset;
  if (node.has("set")) flatten(node.at("set"), "", strategy.overrides);
  return strategy;
}

/// The numbers of a list whose entries are numbers or ranges.
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

MetricChoice read_metrics(const YamlFields& fields) {
  fields.require_known_keys({"perplexity", "text", "reference", "agreement"});
  MetricChoice metrics;
  if (fields.has("perplexity")) {
    const YamlFields perplexity = fields.at("perplexity");
    if (perplexity.is_scalar()) {
      metrics.perplexity = perplexity.as_boolean();
    } else {
      perplexity.require_known_keys({"enabled", "score_last_token"});
      metrics.perplexity = perplexity.boolean("enabled", metrics.perplexity);
      metrics.score_last_token = perplexity.boolean("score_last_token", metrics.score_last_token);
    }
  }
  if (fields.has("text")) {
    const YamlFields text = fields.at("text");
    metrics.text.clear();
    const std::vector<YamlFields> names =
        text.is_list() ? text.items() : std::vector<YamlFields>{text};
    for (const YamlFields& node : names) metrics.text.push_back(node.as_string());
    if (!metrics.text.empty()) checked(text, [&] { TextMetrics(metrics.text); });
  }
  if (fields.has("reference")) {
    const YamlFields node = fields.at("reference");
    const std::string name = node.as_string();
    if (name != "full-cache" && name != "dataset") {
      node.fail_here(fmt::format("is '{}', needs full-cache or dataset", name));
    }
    metrics.reference = name == "full-cache" ? TextReference::kFullCache : TextReference::kDataSet;
  }
  metrics.agreement = fields.boolean("agreement", metrics.agreement);
  return metrics;
}

/// Error when two entries would have the same name in a table.
template <typename Item, typename Name>
void require_unique(const std::vector<Item>& items, const YamlFields& node, Name name_of,
                    std::string_view remedy) {
  std::set<std::string> seen;
  for (const Item& item : items) {
    const std::string name = name_of(item);
    if (!seen.insert(name).second) {
      node.fail_here(fmt::format("has two entries named '{}'; {}", name, remedy));
    }
  }
}

std::vector<std::string> read_comparisons(const YamlFields& root,
                                          const std::vector<StrategyChoice>& strategies) {
  std::vector<std::string> labels;
  labels.reserve(strategies.size());
  for (const StrategyChoice& strategy : strategies) labels.push_back(strategy.label);
  const auto listed = [&](const std::string& label) {
    return std::find(labels.begin(), labels.end(), label) != labels.end();
  };
  std::vector<std::string> chosen;
  if (!root.has("compare_with")) {
    if (listed("elastic")) chosen.emplace_back("elastic");
    return chosen;
  }
  const YamlFields list = root.at("compare_with");
  // An empty list is a choice: no comparison.
  for (const YamlFields& node : list.is_list() ? list.items() : std::vector<YamlFields>{list}) {
    chosen.push_back(node.as_string());
    if (!listed(chosen.back())) {
      node.fail_here(fmt::format("names no strategy of this sweep: '{}'{}", chosen.back(),
                                 suggestion(chosen.back(), labels)));
    }
  }
  return chosen;
}

SweepConfig read_fields(const YamlFields& root, const SweepOverrides& overrides) {
  root.require_known_keys({"name", "models", "data", "strategies", "budgets", "metrics",
                           "generation", "bootstrap", "compare_with", "seed", "output"});
  SweepConfig config;
  config.name = root.has("name") ? label_of(root.at("name"))
                                 : as_label(std::filesystem::path(root.origin()).stem().string());

  const YamlFields models = root.at("models");
  for (const YamlFields& node : one_or_list(models)) {
    for (ModelChoice& model : read_model(node, overrides))
      config.models.push_back(std::move(model));
  }
  require_unique(
      config.models, models, [](const ModelChoice& m) { return m.label + "-" + m.dtype; },
      "give them different labels");

  const YamlFields data = root.at("data");
  for (const YamlFields& node : one_or_list(data)) {
    config.data.push_back(read_data_choice(node, overrides));
  }
  require_unique(
      config.data, data, [](const DataOptions& d) { return d.name; }, "give them different names");

  const YamlFields strategies = root.at("strategies");
  bool needs_budget = false;
  for (const YamlFields& node : one_or_list(strategies)) {
    config.strategies.push_back(read_strategy(node));
    needs_budget = needs_budget || config.strategies.back().preset != "full";
  }
  require_unique(
      config.strategies, strategies, [](const StrategyChoice& s) { return s.label; },
      "give them different names");

  if (root.has("budgets")) config.budgets = read_budgets(root.at("budgets"));
  if (needs_budget && config.budgets.empty()) {
    (root.has("budgets") ? root.at("budgets") : root)
        .fail_here(root.has("budgets") ? "needs 'keep' or 'keep_tokens'"
                                       : "key 'budgets' is missing");
  }
  if (root.has("metrics")) config.metrics = read_metrics(root.at("metrics"));
  if (!config.metrics.perplexity && config.metrics.text.empty() && !config.metrics.agreement) {
    root.at("metrics").fail_here("leaves nothing to measure");
  }
  if (root.has("generation")) {
    const YamlFields generation = root.at("generation");
    generation.require_known_keys({"max_new_tokens"});
    config.max_new_tokens =
        at_least(generation, "max_new_tokens", 1, config.max_new_tokens, kMostNewTokens);
  }
  if (root.has("bootstrap")) {
    const YamlFields bootstrap = root.at("bootstrap");
    bootstrap.require_known_keys({"iterations", "seed"});
    config.bootstrap.iterations =
        at_least(bootstrap, "iterations", 1, config.bootstrap.iterations, 1000000);
    config.bootstrap.seed = static_cast<uint64_t>(
        at_least(bootstrap, "seed", 0, static_cast<int64_t>(config.bootstrap.seed)));
  }
  config.compare_with = read_comparisons(root, config.strategies);
  config.seed = static_cast<uint64_t>(at_least(root, "seed", 0, 0));
  config.output = root.string("output", (std::filesystem::path("results") / config.name).string());
  if (overrides.output) config.output = *overrides.output;
  if (config.output.empty()) {
    if (overrides.output) fail("--output is empty");
    root.at("output").fail_here("is empty");
  }
  return config;
}

/// A comma list becomes a YAML list; anything that is already written as YAML stays.
std::string set_value(std::string_view text) {
  const bool yaml = text.empty() || text.find_first_of("[{\"'") == 0;
  if (yaml || text.find(',') == std::string_view::npos) return std::string(text);
  return fmt::format("[{}]", text);
}

Json budgets_json(const std::vector<BudgetChoice>& budgets) {
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

/// The whole configuration; `records_only` leaves out what cannot change a record.
Json config_json(const SweepConfig& config, bool records_only) {
  Json json;
  if (!records_only) json["name"] = config.name;
  json["models"] = Json::array();
  for (const ModelChoice& model : config.models) {
    json["models"].push_back({{"path", model.path.string()},
                              {"label", model.label},
                              {"device", model.device},
                              {"dtype", model.dtype},
                              {"prompt_format", model.prompt_format}});
  }
  json["data"] = Json::array();
  for (const DataOptions& data : config.data) {
    Json entry{{"path", data.path.string()},
               {"format", data.format},
               {"name", data.name},
               {"turn", data.turn},
               {"image_root", data.image_root.string()}};
    if (data.tokens) {
      entry["prompt_tokens"] = data.tokens->prompt_tokens;
      entry["answer_tokens"] = data.tokens->answer_tokens;
      entry["stride"] = data.tokens->step();
    } else {
      entry["context_words"] = data.context_words;
      entry["answer_words"] = data.answer_words;
    }
    if (!records_only) {
      if (data.limit) entry["limit"] = *data.limit;
      entry["offset"] = data.offset;
      if (!data.sample_ids.empty()) entry["sample_ids"] = data.sample_ids;
    }
    json["data"].push_back(std::move(entry));
  }
  json["strategies"] = Json::array();
  for (const StrategyChoice& strategy : config.strategies) {
    Json set = Json::object();
    for (const auto& [key, value] : strategy.overrides) set[key] = value;
    json["strategies"].push_back(
        {{"name", strategy.label}, {"preset", strategy.preset}, {"set", std::move(set)}});
  }
  if (!config.budgets.empty()) json["budgets"] = budgets_json(config.budgets);
  json["metrics"] = {{"perplexity",
                      {{"enabled", config.metrics.perplexity},
                       {"score_last_token", config.metrics.score_last_token}}},
                     {"text", config.metrics.text},
                     {"reference", reference_name(config.metrics.reference)},
                     {"agreement", config.metrics.agreement}};
  json["generation"] = {{"max_new_tokens", config.max_new_tokens}};
  json["seed"] = config.seed;
  if (!records_only) {
    json["bootstrap"] = {{"iterations", config.bootstrap.iterations},
                         {"seed", config.bootstrap.seed}};
    json["compare_with"] = config.compare_with;
    json["output"] = config.output.string();
  }
  return json;
}

}  // namespace

std::string BudgetChoice::text() const {
  if (keep_tokens) return fmt::format("{}t", *keep_tokens);
  if (!keep) return "1";
  return fmt::format("{}{}", *keep, growth == Growth::kPrompt ? "p" : "");
}

EvaluationSettings SweepConfig::evaluation() const {
  EvaluationSettings settings;
  settings.perplexity = metrics.perplexity;
  settings.score_last_token = metrics.score_last_token;
  settings.generate = !metrics.text.empty() || metrics.agreement;
  settings.max_new_tokens = max_new_tokens;
  settings.agreement = metrics.agreement;
  settings.seed = seed;
  return settings;
}

std::string SweepConfig::json() const { return config_json(*this, /*records_only=*/false).dump(); }

std::string SweepConfig::records_hash() const {
  return content_hash(config_json(*this, /*records_only=*/true).dump());
}

std::pair<std::string, std::string> parse_set_option(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    fail("--set {}: needs the form key.subkey=value", text);
  }
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

SweepConfig parse_sweep(std::string_view text, const std::string& origin,
                        const SweepOverrides& overrides) {
  YamlFields root = YamlFields::parse(text, origin);
  std::string applied;
  for (const auto& [key, value] : overrides.set) {
    root = root.with(key, set_value(value));
    applied += fmt::format("{} --set {}={}", applied.empty() ? "" : ",", key, value);
  }
  try {
    return read_fields(root, overrides);
  } catch (const Error& error) {
    // The line is the file's; the value at fault may be the command line's.
    if (applied.empty()) throw;
    fail("{} (with{})", error.what(), applied);
  }
}

SweepConfig read_sweep(const std::filesystem::path& file, const SweepOverrides& overrides) {
  return parse_sweep(read_file(file), file.string(), overrides);
}

std::vector<double> expand_range(std::string_view text) {
  double value = 0;
  if (parse_double(text, value)) return {};  // "1e-3" is a number
  const size_t dash = text.find('-', 1);
  if (dash == std::string_view::npos) return {};
  const size_t sign = text.find_first_of("+*", dash);
  const std::string_view first_text = text.substr(0, dash);
  const std::string_view last_text =
      text.substr(dash + 1, sign == std::string_view::npos ? sign : sign - dash - 1);
  const std::string_view step_text =
      sign == std::string_view::npos ? std::string_view("1") : text.substr(sign + 1);
  double first = 0;
  double last = 0;
  double step = 0;
  if (!parse_double(first_text, first) || !parse_double(last_text, last) ||
      !parse_double(step_text, step)) {
    return {};
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
