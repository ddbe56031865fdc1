#include "bench/config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/error.h"
#include "base/fields.h"
#include "base/hash.h"
#include "base/yaml_fields.h"
#include "bench/shapes.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostRows = 65536;
constexpr int64_t kMostRuns = 100000;

std::vector<BenchModel> read_model(const YamlFields& fields, const BenchOverrides& overrides) {
  fields.require_known_keys({"path", "shape", "label", "device", "dtype"});
  BenchModel model;
  model.origin = place_of(fields);
  if (fields.has("path") == fields.has("shape")) {
    fields.fail_here("needs either 'path' (a checkpoint folder) or 'shape' (random weights)");
  }
  if (fields.has("path")) {
    model.path = fields.string("path");
    if (model.path.empty()) fields.at("path").fail_here("is empty");
    model.label = folder_label(model.path);
    // Most checkpoints lie in a folder "assembled" of a folder with their name.
    if (model.label == "assembled" && model.path.has_parent_path())
      model.label = folder_label(model.path.parent_path());
  } else {
    const YamlFields shape = fields.at("shape");
    model.shape = read_shape(shape);
    model.shape_name = shape.is_scalar() ? shape.as_string() : "custom";
    model.label = model.shape_name;
  }
  if (fields.has("label")) model.label = label_of(fields.at("label"));
  model.device = overrides.device ? *overrides.device : fields.string("device", model.device);
  const auto check_device = [&] { return parse_device(model.device); };
  if (overrides.device) {
    check_device();
  } else {
    checked(fields.has("device") ? fields.at("device") : fields, check_device);
  }
  std::vector<BenchModel> models;
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

/// A list of whole numbers, or ranges of them, each once.
std::vector<int64_t> read_counts(const YamlFields& list, int64_t most) {
  std::vector<int64_t> counts;
  read_numbers(list, [&](const YamlFields& node, double value) {
    if (!(value >= 1 && value <= static_cast<double>(most)) || value != std::floor(value)) {
      node.fail_here(fmt::format("is {}, needs a whole number from 1 to {}", value, most));
    }
    const auto count = static_cast<int64_t>(value);
    if (std::find(counts.begin(), counts.end(), count) != counts.end())
      node.fail_here(fmt::format("has {} twice", count));
    counts.push_back(count);
  });
  return counts;
}

/// "1024+512".
BenchLengths read_lengths(const YamlFields& node) {
  const std::string text = node.as_string();
  const size_t plus = text.find('+');
  BenchLengths lengths;
  const bool fits = plus != std::string::npos &&
                    parse_int(std::string_view(text).substr(0, plus), lengths.prompt_tokens) &&
                    parse_int(std::string_view(text).substr(plus + 1), lengths.new_tokens) &&
                    lengths.prompt_tokens >= 1 && lengths.prompt_tokens <= kMostNewTokens &&
                    lengths.new_tokens >= 1 && lengths.new_tokens <= kMostNewTokens;
  if (!fits) {
    node.fail_here(fmt::format("is '{}', needs prompt and new tokens, such as 1024+512", text));
  }
  return lengths;
}

std::vector<BenchLengths> read_all_lengths(const YamlFields& root) {
  std::vector<BenchLengths> all;
  if (root.has("lengths")) {
    for (const char* key : {"prompt_tokens", "new_tokens"}) {
      if (root.has(key)) root.at(key).fail_here("excludes 'lengths', which gives both");
    }
    const YamlFields list = root.at("lengths");
    for (const YamlFields& node : one_or_list(list)) all.push_back(read_lengths(node));
    require_unique(
        all, list, [](const BenchLengths& l) { return l.text(); }, "each is timed once");
    return all;
  }
  const std::vector<int64_t> prompts = read_counts(root.at("prompt_tokens"), kMostNewTokens);
  const std::vector<int64_t> news = read_counts(root.at("new_tokens"), kMostNewTokens);
  for (const int64_t prompt : prompts) {
    for (const int64_t fresh : news) all.push_back({prompt, fresh});
  }
  return all;
}

BenchConfig read_fields(const YamlFields& root, const BenchOverrides& overrides) {
  root.require_known_keys({"name", "models", "batch", "shared_prompt", "prompt_tokens",
                           "new_tokens", "lengths", "strategies", "budgets", "runs", "warmup",
                           "threads", "too_large", "seed", "output"});
  BenchConfig config;
  config.name = root.has("name") ? label_of(root.at("name"))
                                 : as_label(std::filesystem::path(root.origin()).stem().string());
  const YamlFields models = root.at("models");
  for (const YamlFields& node : one_or_list(models)) {
    for (BenchModel& model : read_model(node, overrides)) config.models.push_back(std::move(model));
  }
  require_unique(
      config.models, models,
      [](const BenchModel& m) { return fmt::format("{}-{}-{}", m.label, m.dtype, m.device); },
      "give them different labels");

  if (root.has("batch")) config.batch = read_counts(root.at("batch"), kMostRows);
  config.shared_prompt = root.boolean("shared_prompt", config.shared_prompt);
  config.lengths = read_all_lengths(root);
  for (const BenchModel& model : config.models) {
    if (!model.random_weights()) continue;
    for (const BenchLengths& lengths : config.lengths) {
      if (lengths.prompt_tokens + lengths.new_tokens <= model.shape.max_positions) continue;
      fail("{}: {} tokens do not fit the context of {}, which is {}", model.origin, lengths.text(),
           model.label, model.shape.max_positions);
    }
  }

  bool needs_budget = false;
  if (root.has("strategies")) {
    const YamlFields strategies = root.at("strategies");
    for (const YamlFields& node : one_or_list(strategies)) {
      for (StrategyChoice& strategy : read_strategies(node))
        config.strategies.push_back(std::move(strategy));
      needs_budget = needs_budget || config.strategies.back().preset != "full";
    }
    require_unique(
        config.strategies, strategies, [](const StrategyChoice& s) { return s.label; },
        "give them different names");
  } else {
    StrategyChoice full;
    full.preset = full.label = "full";
    full.origin = place_of(root);
    config.strategies.push_back(std::move(full));
  }
  if (root.has("budgets")) config.budgets = read_budgets(root.at("budgets"));
  if (needs_budget && config.budgets.empty()) {
    (root.has("budgets") ? root.at("budgets") : root)
        .fail_here(root.has("budgets") ? "needs 'keep' or 'keep_tokens'"
                                       : "key 'budgets' is missing");
  }

  config.runs = at_least(root, "runs", 1, config.runs, kMostRuns);
  if (overrides.runs) {
    if (*overrides.runs < 1) fail("--runs is {}, needs to be at least 1", *overrides.runs);
    config.runs = *overrides.runs;
  }
  config.warmup = at_least(root, "warmup", 0, config.warmup, kMostRuns);
  config.threads = at_least(root, "threads", 1, 0, /*most=*/4096);
  if (root.has("too_large")) {
    const YamlFields node = root.at("too_large");
    const std::string choice = node.as_string();
    if (choice != "refuse" && choice != "skip")
      node.fail_here(fmt::format("is '{}', needs refuse or skip", choice));
    config.too_large =
        choice == "skip" ? BenchConfig::TooLarge::kSkip : BenchConfig::TooLarge::kRefuse;
  }
  config.seed = static_cast<uint64_t>(at_least(root, "seed", 0, 0));
  if (root.has("output")) {
    config.output = root.string("output");
    if (config.output.empty()) root.at("output").fail_here("is empty");
  }
  if (overrides.output) {
    config.output = *overrides.output;
    if (config.output.empty()) fail("--output is empty");
  }
  return config;
}

Json shape_json(const LlamaConfig& shape) {
  return {{"layers", shape.layers},
          {"hidden_size", shape.hidden_size},
          {"intermediate_size", shape.intermediate_size},
          {"query_heads", shape.query_heads},
          {"kv_heads", shape.kv_heads},
          {"head_dim", shape.head_dim},
          {"vocab_size", shape.vocab_size},
          {"max_positions", shape.max_positions},
          {"rope_theta", shape.rope.theta},
          {"attention_bias", shape.qkv_bias},
          {"tie_word_embeddings", shape.tie_word_embeddings}};
}

Json config_json(const BenchConfig& config, bool whole) {
  Json json;
  if (whole) json["name"] = config.name;
  json["models"] = Json::array();
  for (const BenchModel& model : config.models) {
    Json entry;
    if (model.random_weights()) {
      entry["shape"] = shape_json(model.shape);
    } else {
      entry["path"] = model.path.string();
    }
    entry["label"] = model.label;
    entry["device"] = model.device;
    entry["dtype"] = model.dtype;
    json["models"].push_back(std::move(entry));
  }
  json["batch"] = config.batch;
  if (config.shared_prompt) json["shared_prompt"] = true;
  json["lengths"] = Json::array();
  for (const BenchLengths& lengths : config.lengths) json["lengths"].push_back(lengths.text());
  json["strategies"] = Json::array();
  for (const StrategyChoice& strategy : config.strategies)
    json["strategies"].push_back(strategy_json(strategy));
  if (!config.budgets.empty()) json["budgets"] = budgets_json(config.budgets);
  if (whole) json["runs"] = config.runs;
  json["warmup"] = config.warmup;
  if (config.threads > 0) json["threads"] = config.threads;
  json["too_large"] = config.too_large == BenchConfig::TooLarge::kSkip ? "skip" : "refuse";
  json["seed"] = config.seed;
  if (whole && !config.output.empty()) json["output"] = config.output.string();
  return json;
}

}  // namespace

std::string BenchLengths::text() const { return fmt::format("{}+{}", prompt_tokens, new_tokens); }

std::string BenchConfig::json() const { return json_text(config_json(*this, /*whole=*/true)); }

std::string BenchConfig::hash() const {
  return content_hash(json_text(config_json(*this, /*whole=*/false)));
}

std::vector<BenchCell> cells_of(const BenchConfig& config) {
  std::vector<BenchCell> cells;
  for (const BenchLengths& lengths : config.lengths) {
    for (const int64_t batch : config.batch) {
      for (const StrategyChoice& strategy : config.strategies) {
        const std::vector<BudgetChoice> budgets =
            strategy.preset == "full" ? std::vector<BudgetChoice>(1) : config.budgets;
        for (const BudgetChoice& budget : budgets)
          cells.push_back({batch, config.shared_prompt, lengths, strategy, budget});
      }
    }
  }
  return cells;
}

BenchConfig parse_bench(std::string_view text, const std::string& origin,
                        const BenchOverrides& overrides) {
  return read_with_settings(YamlFields::parse(text, origin), overrides.set,
                            [&](const YamlFields& root) { return read_fields(root, overrides); });
}

BenchConfig read_bench(const std::filesystem::path& file, const BenchOverrides& overrides) {
  return read_with_settings(YamlFields::read_extended(file), overrides.set,
                            [&](const YamlFields& root) { return read_fields(root, overrides); });
}

}  // namespace elastikv
