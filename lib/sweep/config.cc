#include "sweep/config.h"

#include <algorithm>
#include <utility>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/keys.h"
#include "base/log.h"
#include "base/yaml_fields.h"
#include "base/yaml_values.h"
#include "metrics/metric_set.h"
#include "metrics/text_metrics.h"
#include "sweep/data_choice.h"
#include "sweep/labels.h"
#include "sweep/model_choice.h"
#include "sweep/plan.h"
#include "sweep/strategy_choice.h"
#include "sweep/sweep_keys.h"
#include "sweep/sweep_settings.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

std::vector<ModelChoice> read_all_models(const YamlFields& node, const SweepOverrides& overrides) {
  std::vector<ModelChoice> models;
  for (const YamlFields& entry : one_or_list(node)) {
    for (ModelChoice& model : read_models(entry, overrides)) models.push_back(std::move(model));
  }
  require_unique(models, node, model_name, "give them different labels");
  return models;
}

std::vector<DataOptions> read_all_data(const YamlFields& node, const SweepOverrides& overrides) {
  std::vector<DataOptions> sets;
  for (const YamlFields& entry : one_or_list(node)) {
    for (DataOptions& set : read_data_choices(entry, overrides)) sets.push_back(std::move(set));
  }
  require_unique(
      sets, node, [](const DataOptions& data) { return data.name; }, "give them different names");
  return sets;
}

/// The metrics of texts that the data sets ask for, and how often texts stay what they were, where
/// the sweep says nothing of metrics of texts.
void take_metrics_of_data(const YamlFields& root, SweepConfig& config) {
  if (root.has("metrics") && root.at("metrics").is_map() && root.at("metrics").has("text")) return;
  std::vector<std::string> names;
  for (const DataOptions& data : config.data) {
    for (const std::string& name : data.metrics) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  if (names.empty()) return;
  if (std::find(names.begin(), names.end(), kLoyalty) == names.end()) names.emplace_back(kLoyalty);
  config.metrics.text = std::move(names);
}

/// Error for a metric that judges likelihoods of options where a data set is answered by texts.
void require_likelihoods(const YamlFields& root, const SweepConfig& config) {
  for (const std::string& name : config.metrics.text) {
    if (!is_of_likelihood(name)) continue;
    for (const DataOptions& data : config.data) {
      if (data.by_likelihood() || metrics_of_others(config, data).contains(name)) continue;
      root.at("metrics").at("text").fail_here(
          fmt::format("asks for '{}', which judges the likelihoods of options, and data set '{}' "
                      "is answered by texts: it takes answer_by: likelihood",
                      name, data.name));
    }
  }
}

/// What is measured, once it is known whether anything is to be.
void settle_metrics(const YamlFields& root, SweepConfig& config) {
  if (config.predict_only) {
    config.metrics.perplexity = false;
    config.metrics.text.clear();
    config.metrics.agreement = false;
  }
  config.metrics.windows =
      std::any_of(config.data.begin(), config.data.end(),
                  [](const DataOptions& data) { return data.tokens.has_value(); });
  const MetricChoice& metrics = config.metrics;
  const bool texts = !metrics.text.empty();
  if (!config.predict_only && !metrics.perplexity && !texts && !metrics.agreement)
    root.at("metrics").fail_here("leaves nothing to measure");
  const bool needs_answers = MetricSet(metrics).needs_answers();
  for (DataOptions& data : config.data) data.needs_answers = needs_answers;
  if (config.cells_together) return;
  const YamlFields cells = root.at("cells");
  if (config.predict_only)
    cells.fail_here("one-by-one times perplexity alone, and predict_only switches it off");
  if (metrics.agreement || texts) {
    cells.fail_here(
        "one-by-one times perplexity alone: 'metrics' needs text: [] and agreement: false");
  }
}

SweepConfig read_fields(const YamlFields& root, const SweepOverrides& overrides) {
  sweep_keys().check(root);
  SweepConfig config;
  config.models = read_all_models(root.at("models"), overrides);
  config.data = read_all_data(root.at("data"), overrides);
  sweep_keys().read(root, config);
  add_plugins(overrides.plugins, config.plugins);
  config.predict_only = config.predict_only || overrides.predict_only;
  take_metrics_of_data(root, config);
  require_likelihoods(root, config);
  settle_metrics(root, config);
  if (overrides.output) config.output = *overrides.output;
  if (config.output.empty()) fail("--output is empty");
  return config;
}

}  // namespace

EvaluationSettings SweepConfig::evaluation() const {
  EvaluationSettings settings;
  settings.perplexity = metrics.perplexity;
  settings.score_last_token = metrics.score_last_token;
  settings.score_end = metrics.score_end;
  settings.one_pass = metrics.one_pass;
  settings.cells_together = cells_together;
  settings.sharing = sharing;
  settings.generate = predict_only || !metrics.text.empty() || metrics.agreement;
  settings.max_new_tokens = max_new_tokens;
  settings.agreement = metrics.agreement;
  settings.seed = seed;
  return settings;
}

std::string SweepConfig::json() const { return json_text(sweep_keys().write(*this)); }

std::string SweepConfig::records_hash() const {
  return content_hash(json_text(sweep_keys().hashed_part(sweep_keys().write(*this))));
}

std::string SweepConfig::record_tags() const {
  return sweep_keys().tags(sweep_keys().write(*this));
}

std::string differing_settings(const std::string& ours, const std::string& theirs) {
  return fmt::format(
      "{}", fmt::join(sweep_keys().differing(OrderedJson::parse(ours), OrderedJson::parse(theirs)),
                      ", "));
}

SweepConfig parse_sweep(std::string_view text, const std::string& origin,
                        const SweepOverrides& overrides) {
  return read_with_settings(YamlFields::parse(text, origin), overrides.set, with_sweep_setting,
                            [&](const YamlFields& root) { return read_fields(root, overrides); });
}

SweepConfig read_sweep(const std::filesystem::path& file, const SweepOverrides& overrides) {
  return read_with_settings(YamlFields::read_extended(file), overrides.set, with_sweep_setting,
                            [&](const YamlFields& root) {
                              SweepConfig config = read_fields(root, overrides);
                              for (const auto& note : sweep_keys().earlier_names_in(root))
                                inform("{}", note.second);
                              return config;
                            });
}

}  // namespace elastikv
