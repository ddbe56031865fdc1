#include "sweep/config.h"

#include <algorithm>
#include <utility>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "base/hash.h"
#include "base/nearest_name.h"
#include "base/yaml_fields.h"
#include "metrics/rouge_google.h"
#include "metrics/text_metrics.h"
#include "sweep/config_fields.h"
#include "sweep/data_choice.h"
#include "sweep/model_choice.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

std::string_view reference_name(TextReference reference) {
  return reference == TextReference::kFullCache ? "full-cache" : "dataset";
}

/// A list here would change the whole sweep, not its cells.
void require_one_value(const YamlFields& fields, std::string_view key) {
  if (!fields.has(key) || fields.at(key).is_scalar()) return;
  fields.at(key).fail_here(
      "takes one value for the whole sweep; for several, run it once for each with its own "
      "--output");
}

/// The value of a key that takes one of a few words.
std::string one_of(const YamlFields& fields, const std::string& key,
                   const std::vector<std::string>& words) {
  if (!fields.has(key)) return words.front();
  const YamlFields node = fields.at(key);
  std::string word = node.as_string();
  if (std::find(words.begin(), words.end(), word) == words.end())
    node.fail_here(fmt::format("is '{}', needs one of {}{}", word, fmt::join(words, ", "),
                               suggestion(word, words)));
  return word;
}

/// Puts the words and sentences of `rouge` into the names of rouge_score's metrics, as which they
/// are known everywhere else.
void choose_rouge(const YamlFields& rouge, std::vector<std::string>& names) {
  rouge.require_known_keys({"tokenizer", "sentences"});
  const std::string words = one_of(rouge, "tokenizer", {"words", "characters", "unicode"});
  const std::string sentences = one_of(rouge, "sentences", {"lines", "marks"});
  bool any = false;
  bool summary = false;
  for (std::string& name : names) {
    const std::string variant = rouge_variant(name, words, sentences);
    any = any || !variant.empty();
    summary = summary || name == "rougeLsum";
    if (!variant.empty()) name = variant;
  }
  if (!any)
    rouge.fail_here(
        "speaks of rouge1, rouge2, rougeL and rougeLsum, and 'text' lists none of them");
  if (sentences != "lines" && !summary)
    rouge.at("sentences").fail_here("speaks of rougeLsum, which 'text' does not list");
}

MetricChoice read_metrics(const YamlFields& fields) {
  fields.require_known_keys({"perplexity", "text", "rouge", "reference", "agreement"});
  MetricChoice metrics;
  if (fields.has("perplexity")) {
    const YamlFields perplexity = fields.at("perplexity");
    if (perplexity.is_scalar()) {
      metrics.perplexity = perplexity.as_boolean();
    } else {
      perplexity.require_known_keys({"enabled", "score_last_token", "score_end", "one_pass"});
      metrics.perplexity = perplexity.boolean("enabled", metrics.perplexity);
      metrics.score_last_token = perplexity.boolean("score_last_token", metrics.score_last_token);
      metrics.score_end = perplexity.boolean("score_end", metrics.score_end);
      metrics.one_pass = perplexity.boolean("one_pass", metrics.one_pass);
      if (metrics.score_end && !metrics.score_last_token) {
        perplexity.at("score_end")
            .fail_here(
                "scores what follows the last token, which score_last_token: false leaves "
                "out; one of the two is needed");
      }
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
  if (fields.has("rouge")) choose_rouge(fields.at("rouge"), metrics.text);
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
    const std::string name = node.as_string();
    if (listed(name)) {
      chosen.push_back(name);
      continue;
    }
    // The name of a strategy that a list made several of means all of them.
    const size_t before = chosen.size();
    for (const StrategyChoice& strategy : strategies) {
      if (strategy.name == name) chosen.push_back(strategy.label);
    }
    if (chosen.size() == before) {
      node.fail_here(
          fmt::format("names no strategy of this sweep: '{}'{}", name, suggestion(name, labels)));
    }
  }
  return chosen;
}

int64_t read_detail_samples(const YamlFields& fields) {
  fields.require_known_keys({"samples"});
  return at_least(fields, "samples", 0, SweepConfig{}.detail_samples);
}

const std::vector<std::string>& sweep_keys() {
  static const std::vector<std::string> keys{"name",    "models",    "data",        "strategies",
                                             "budgets", "matrix",    "metrics",     "generation",
                                             "cells",   "bootstrap", "details",     "compare_with",
                                             "seed",    "output",    "predict_only"};
  return keys;
}

SweepConfig read_fields(const YamlFields& root, const SweepOverrides& overrides) {
  root.require_known_keys(sweep_keys());
  for (const char* key : {"name", "cells", "seed", "output"}) require_one_value(root, key);
  SweepConfig config;
  config.name = root.has("name") ? label_of(root.at("name"))
                                 : as_label(std::filesystem::path(root.origin()).stem().string());

  const YamlFields models = root.at("models");
  for (const YamlFields& node : one_or_list(models)) {
    for (ModelChoice& model : read_models(node, overrides))
      config.models.push_back(std::move(model));
  }
  require_unique(
      config.models, models, [](const ModelChoice& m) { return m.label + "-" + m.dtype; },
      "give them different labels");

  const YamlFields data = root.at("data");
  for (const YamlFields& node : one_or_list(data)) {
    for (DataOptions& set : read_data_choices(node, overrides))
      config.data.push_back(std::move(set));
  }
  require_unique(
      config.data, data, [](const DataOptions& d) { return d.name; }, "give them different names");

  const YamlFields strategies = root.at("strategies");
  bool needs_budget = false;
  for (const YamlFields& node : one_or_list(strategies)) {
    for (StrategyChoice& strategy : read_strategies(node))
      config.strategies.push_back(std::move(strategy));
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
  if (root.has("matrix")) {
    const YamlFields matrix = root.at("matrix");
    matrix.require_known_keys({"exclude"});
    if (matrix.has("exclude")) config.exclude = read_exclusions(matrix.at("exclude"), config);
  }
  if (root.has("metrics")) config.metrics = read_metrics(root.at("metrics"));
  config.predict_only = overrides.predict_only || root.boolean("predict_only", false);
  if (config.predict_only) {
    config.metrics.perplexity = false;
    config.metrics.text.clear();
    config.metrics.agreement = false;
  } else if (!config.metrics.perplexity && config.metrics.text.empty() &&
             !config.metrics.agreement) {
    root.at("metrics").fail_here("leaves nothing to measure");
  }
  const bool compares_answers =
      !config.metrics.text.empty() && config.metrics.reference == TextReference::kDataSet;
  for (DataOptions& data : config.data)
    data.needs_answers = config.metrics.perplexity || compares_answers;
  if (root.has("generation")) {
    const YamlFields generation = root.at("generation");
    generation.require_known_keys({"max_new_tokens"});
    require_one_value(generation, "max_new_tokens");
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
  if (root.has("details")) config.detail_samples = read_detail_samples(root.at("details"));
  config.compare_with = read_comparisons(root, config.strategies);
  if (root.has("cells")) {
    const YamlFields cells = root.at("cells");
    const std::string choice = cells.as_string();
    if (choice != "together" && choice != "one-by-one")
      cells.fail_here(fmt::format("is '{}'; 'together' or 'one-by-one' is needed", choice));
    config.cells_together = choice == "together";
    if (!config.cells_together && config.predict_only)
      cells.fail_here("one-by-one times perplexity alone, and predict_only switches it off");
    if (!config.cells_together && (config.metrics.agreement || !config.metrics.text.empty()))
      cells.fail_here(
          "one-by-one times perplexity alone: 'metrics' needs text: [] and agreement: false");
  }
  config.seed = static_cast<uint64_t>(at_least(root, "seed", 0, 0));
  config.output = root.string("output", (std::filesystem::path("results") / config.name).string());
  if (overrides.output) config.output = *overrides.output;
  if (config.output.empty()) {
    if (overrides.output) fail("--output is empty");
    root.at("output").fail_here("is empty");
  }
  return config;
}

/// A setting of all entries of models or data, or of one with its index.
YamlFields with_entry_setting(const YamlFields& root, const std::string& section,
                              const std::string& rest, const std::string& value) {
  int64_t index = 0;
  const size_t end = std::min(rest.find('.'), rest.size());
  const bool indexed = parse_int(rest.substr(0, end), index);
  const bool list = root.has(section) && root.at(section).is_list();
  if (!list && indexed && index == 0 && end < rest.size())
    return root.with(join_key(section, rest.substr(end + 1)), value);
  if (!list || indexed) return root.with(join_key(section, rest), value);
  YamlFields changed = root;
  const size_t entries = root.at(section).items().size();
  for (size_t i = 0; i < entries; ++i)
    changed = changed.with(fmt::format("{}.{}.{}", section, i, rest), value);
  return changed;
}

/// The names of the strategies' entries.
std::vector<std::string> strategy_names(const YamlFields& root) {
  std::vector<std::string> names;
  if (!root.has("strategies")) return names;
  for (const YamlFields& node : one_or_list(root.at("strategies"))) {
    const std::string preset = node.is_scalar() ? node.as_string() : node.string("preset", "");
    names.push_back(node.is_map() ? node.string("name", preset) : preset);
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
    changed = changed.with(place, fmt::format("{{preset: {}}}", entries[i].as_string()));
  return changed.with(join_key(place, rest), value);
}

/// The whole configuration; `records_only` leaves out what cannot change a record.
Json config_json(const SweepConfig& config, bool records_only) {
  Json json;
  if (!records_only) json["name"] = config.name;
  json["models"] = Json::array();
  for (const ModelChoice& model : config.models) json["models"].push_back(model_json(model));
  json["data"] = Json::array();
  for (const DataOptions& data : config.data) json["data"].push_back(data_json(data, records_only));
  json["strategies"] = Json::array();
  for (const StrategyChoice& strategy : config.strategies) {
    json["strategies"].push_back(strategy_json(strategy));
  }
  if (!config.budgets.empty()) json["budgets"] = budgets_json(config.budgets);
  if (!config.exclude.empty()) json["matrix"] = {{"exclude", exclusions_json(config.exclude)}};
  json["metrics"] = {{"perplexity",
                      {{"enabled", config.metrics.perplexity},
                       {"score_last_token", config.metrics.score_last_token}}},
                     {"text", config.metrics.text},
                     {"reference", reference_name(config.metrics.reference)},
                     {"agreement", config.metrics.agreement}};
  // Written only where they differ: earlier records were made without them.
  if (config.metrics.score_end) json["metrics"]["perplexity"]["score_end"] = true;
  if (!config.metrics.one_pass) json["metrics"]["perplexity"]["one_pass"] = false;
  json["generation"] = {{"max_new_tokens", config.max_new_tokens}};
  if (config.predict_only) json["predict_only"] = true;
  if (!config.cells_together) json["cells"] = "one-by-one";
  json["seed"] = config.seed;
  if (!records_only) {
    json["bootstrap"] = {{"iterations", config.bootstrap.iterations},
                         {"seed", config.bootstrap.seed}};
    json["details"] = {{"samples", config.detail_samples}};
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
  settings.score_end = metrics.score_end;
  settings.one_pass = metrics.one_pass;
  settings.cells_together = cells_together;
  settings.generate = predict_only || !metrics.text.empty() || metrics.agreement;
  settings.max_new_tokens = max_new_tokens;
  settings.agreement = metrics.agreement;
  settings.seed = seed;
  return settings;
}

std::string SweepConfig::json() const {
  return json_text(config_json(*this, /*records_only=*/false));
}

std::string SweepConfig::records_hash() const {
  return content_hash(json_text(config_json(*this, /*records_only=*/true)));
}

YamlFields with_sweep_setting(const YamlFields& root, const std::string& key,
                              const std::string& value) {
  const size_t dot = key.find('.');
  if (dot == std::string::npos) return root.with(key, value);
  const std::string head = key.substr(0, dot);
  std::string rest = key.substr(dot + 1);
  if (head == "models" || head == "data") return with_entry_setting(root, head, rest, value);
  if (head == "strategies") {
    int64_t index = 0;
    const size_t end = std::min(rest.find('.'), rest.size());
    if (end == rest.size() || !parse_int(rest.substr(0, end), index)) return root.with(key, value);
    return with_strategy_setting(root, index, rest.substr(end + 1), value);
  }
  const auto& keys = sweep_keys();
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

SweepConfig parse_sweep(std::string_view text, const std::string& origin,
                        const SweepOverrides& overrides) {
  return read_with_settings(YamlFields::parse(text, origin), overrides.set, with_sweep_setting,
                            [&](const YamlFields& root) { return read_fields(root, overrides); });
}

SweepConfig read_sweep(const std::filesystem::path& file, const SweepOverrides& overrides) {
  return read_with_settings(YamlFields::read_extended(file), overrides.set, with_sweep_setting,
                            [&](const YamlFields& root) { return read_fields(root, overrides); });
}

}  // namespace elastikv
