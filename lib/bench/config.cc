#include "bench/config.h"

#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/keys.h"
#include "base/yaml_fields.h"
#include "base/yaml_values.h"
#include "bench/bench_keys.h"
#include "sweep/labels.h"
#include "sweep/placement.h"
#include "sweep/strategy_choice.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

/// One model, once for each of its dtypes.
std::vector<BenchModel> read_model(const YamlFields& fields, const BenchOverrides& overrides) {
  bench_model_keys().check(fields);
  if (fields.has("path") == fields.has("shape")) {
    fields.fail_here("needs either 'path' (a checkpoint folder) or 'shape' (random weights)");
  }
  BenchModel model;
  model.origin = place_of(fields);
  bench_model_keys().read(fields, model);
  if (overrides.device) model.device = chosen_device(*overrides.device);
  std::vector<BenchModel> models;
  for (const std::string& dtype : dtypes_of(fields, overrides.dtype, model.dtype)) {
    models.push_back(model);
    models.back().dtype = dtype;
  }
  return models;
}

std::vector<BenchModel> read_all_models(const YamlFields& node, const BenchOverrides& overrides) {
  std::vector<BenchModel> models;
  for (const YamlFields& entry : one_or_list(node)) {
    for (BenchModel& model : read_model(entry, overrides)) models.push_back(std::move(model));
  }
  require_unique(
      models, node,
      [](const BenchModel& m) { return fmt::format("{}-{}-{}", m.label, m.dtype, m.device); },
      "give them different labels");
  return models;
}

/// Error for lengths that a model has no positions for.
void check_context(const BenchConfig& config) {
  for (const BenchModel& model : config.models) {
    if (!model.random_weights()) continue;
    for (const BenchLengths& lengths : config.lengths) {
      if (lengths.prompt_tokens + lengths.new_tokens <= model.shape.max_positions) continue;
      fail("{}: {} tokens do not fit the context of {}, which is {}", model.origin, lengths.text(),
           model.label, model.shape.max_positions);
    }
  }
}

BenchConfig read_fields(const YamlFields& root, const BenchOverrides& overrides) {
  bench_keys().check(root);
  for (const char* key : {"prompt_tokens", "new_tokens"}) {
    if (root.has("lengths") && root.has(key))
      root.at(key).fail_here("excludes 'lengths', which gives both");
  }
  BenchConfig config;
  config.models = read_all_models(root.at("models"), overrides);
  bench_keys().read(root, config);
  add_plugins(overrides.plugins, config.plugins);
  for (const StrategyChoice& strategy : config.strategies) {
    if (strategy.moment.at == CompressAt::kPromptEnd) continue;
    fail("{}: strategy '{}' has compress_at: {}, but benchmarks compress at the prompt's end",
         strategy.origin, strategy.label, compress_at_name(strategy.moment.at));
  }
  check_context(config);
  if (overrides.runs) {
    if (*overrides.runs < 1) fail("--runs is {}, needs to be at least 1", *overrides.runs);
    config.runs = *overrides.runs;
  }
  if (overrides.output) {
    config.output = *overrides.output;
    if (config.output.empty()) fail("--output is empty");
  }
  return config;
}

}  // namespace

std::string BenchLengths::text() const { return fmt::format("{}+{}", prompt_tokens, new_tokens); }

std::string BenchConfig::json() const { return json_text(bench_keys().write(*this)); }

std::string BenchConfig::hash() const {
  return content_hash(json_text(bench_keys().hashed_part(bench_keys().write(*this))));
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
