#include "sweep/config.h"

#include <algorithm>
#include <utility>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/configs.h"
#include "base/device.h"
#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/nearest_name.h"
#include "base/yaml_fields.h"
#include "metrics/text_metrics.h"
#include "sweep/config_fields.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

std::string_view reference_name(TextReference reference) {
  return reference == TextReference::kFullCache ? "full-cache" : "dataset";
}

std::string_view place_name(PicturePlace place) {
  switch (place) {
    case PicturePlace::kDefault:
      return "auto";
    case PicturePlace::kBefore:
      return "before";
    case PicturePlace::kAfter:
      return "after";
  }
  throw InternalError("a picture's place without a name");
}

/// A list here would change the whole sweep, not its cells.
void require_one_value(const YamlFields& fields, std::string_view key) {
  if (!fields.has(key) || fields.at(key).is_scalar()) return;
  fields.at(key).fail_here(
      "takes one value for the whole sweep; for several, run it once for each with its own "
      "--output");
}

/// Error for a name that would be that of several things.
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

/// What of a model is the same in a sweep's file and in a file of configs/models.
void read_model_settings(const YamlFields& fields, ModelChoice& model) {
  if (fields.has("path")) model.path = fields.string("path");
  model.prompt_format = fields.string("prompt_format", model.prompt_format);
  if (fields.has("image_aspect_ratio")) {
    const YamlFields node = fields.at("image_aspect_ratio");
    if (node.as_string() == "auto") {
      model.image_aspect_ratio.reset();
    } else {
      model.image_aspect_ratio =
          checked(node, [&] { return parse_image_aspect_ratio(node.as_string()); });
    }
  }
  if (fields.has("pixels")) {
    const YamlFields node = fields.at("pixels");
    model.pixels = checked(node, [&] { return parse_pixel_backend(node.as_string()); });
  }
  if (!fields.has("picture_place")) return;
  const YamlFields node = fields.at("picture_place");
  for (const PicturePlace place :
       {PicturePlace::kDefault, PicturePlace::kBefore, PicturePlace::kAfter}) {
    if (node.as_string() != place_name(place)) continue;
    model.picture_place = place;
    return;
  }
  node.fail_here(fmt::format("is '{}', needs auto, before or after", node.as_string()));
}

/// A model of configs/models; returns the dtypes it suggests.
std::string read_model_preset(const YamlFields& node, ModelChoice& model) {
  const std::filesystem::path folder = configs_folder() / "models";
  const std::string name = node.as_string();
  const std::filesystem::path file = folder / (name + ".yaml");
  if (!path_exists(file)) {
    std::vector<std::string> known;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".yaml") known.push_back(entry.path().stem().string());
    }
    std::sort(known.begin(), known.end());
    node.fail_here(
        fmt::format("is '{}', which {} has not{}", name, folder.string(), suggestion(name, known)));
  }
  const YamlFields fields = YamlFields::read(file);
  fields.require_known_keys({"source", "path", "dtype", "prompt_format", "image_aspect_ratio",
                             "pixels", "picture_place", "published_config"});
  read_model_settings(fields, model);
  if (fields.has("published_config"))
    model.published_config = folder / fields.string("published_config");
  return fields.string("dtype", model.dtype);
}

/// One model, once for each of its dtypes.
std::vector<ModelChoice> read_one_model(const YamlFields& fields, const SweepOverrides& overrides) {
  fields.require_known_keys({"preset", "path", "label", "device", "dtype", "prompt_format",
                             "image_aspect_ratio", "pixels", "picture_place"});
  ModelChoice model;
  model.origin = place_of(fields);
  std::string dtype = model.dtype;
  if (fields.has("preset")) {
    dtype = read_model_preset(fields.at("preset"), model);
  } else {
    fields.at("path");  // there has to be one
  }
  read_model_settings(fields, model);
  if (model.path.empty()) fields.at("path").fail_here("is empty");
  if (fields.has("label")) {
    model.label = label_of(fields.at("label"));
  } else {
    model.label = folder_label(model.path);
  }
  model.device = overrides.device ? *overrides.device : fields.string("device", model.device);
  const auto check_device = [&] { return parse_device(model.device); };
  if (overrides.device) {
    check_device();
  } else {
    checked(fields.has("device") ? fields.at("device") : fields, check_device);
  }

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
    add(dtype);
  }
  return models;
}

/// An entry of `models`: one model, or one for each combination of what its keys list.
std::vector<ModelChoice> read_model(const YamlFields& fields, const SweepOverrides& overrides) {
  require_no_name(fields, "label", {"preset", "path"});
  std::vector<ModelChoice> models;
  for (const Variant& variant : variants_of(fields, {{"preset", /*named=*/false},
                                                     {"path", /*named=*/false},
                                                     {"prompt_format"},
                                                     {"image_aspect_ratio"},
                                                     {"pixels"},
                                                     {"picture_place"}})) {
    for (ModelChoice& model : read_one_model(variant.fields, overrides)) {
      model.label += variant.suffix;
      models.push_back(std::move(model));
    }
  }
  return models;
}

/// Windows of tokens, when any of their keys is there.
std::optional<TokenWindows> read_token_windows(const YamlFields& fields) {
  const char* present = nullptr;
  for (const char* key : {"prompt_tokens", "answer_tokens", "stride", "bos"}) {
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
  if (fields.has("stride")) {
    windows.stride = at_least(fields, "stride", 1, 1, kMostNewTokens);
    if (*windows.stride < windows.answer_tokens) {
      fields.at("stride").fail_here(
          fmt::format("is {}, below answer_tokens, which is {}: tokens would be scored in several "
                      "windows",
                      *windows.stride, windows.answer_tokens));
    }
  }
  if (fields.has("bos")) {
    const YamlFields node = fields.at("bos");
    try {
      windows.bos = parse_bos_rule(node.as_string());
    } catch (const Error&) {
      node.fail_here(fmt::format("is '{}', needs auto, always or never", node.as_string()));
    }
  }
  return windows;
}

/// Where a data set's answers, questions and pictures come from when its file has none, and what
/// becomes of samples that lack them.
void read_data_sources(const YamlFields& fields, DataOptions& data) {
  for (auto [key, file] :
       {std::pair{"answers", &data.answers}, std::pair{"picture_cache", &data.picture_cache}}) {
    if (!fields.has(key)) continue;
    *file = fields.string(key);
    if (file->empty()) fields.at(key).fail_here("is empty");
  }
  if (fields.has("prompt")) {
    data.prompt = fields.string("prompt");
    if (data.prompt.empty()) fields.at("prompt").fail_here("is empty");
  }
  if (fields.has("on_problem")) {
    const YamlFields node = fields.at("on_problem");
    if (node.as_string() != "refuse" && node.as_string() != "record")
      node.fail_here(fmt::format("is '{}', needs refuse or record", node.as_string()));
    data.on_problem = node.as_string() == "record" ? OnProblem::kRecord : OnProblem::kRefuse;
  }
}

DataOptions read_data_choice(const YamlFields& fields, const SweepOverrides& overrides) {
  fields.require_known_keys({"path",
                             "format",
                             "name",
                             "turn",
                             "image_root",
                             "limit",
                             "offset",
                             "sample_ids",
                             "context_words",
                             "answer_words",
                             "prompt_tokens",
                             "answer_tokens",
                             "stride",
                             "bos",
                             "expect",
                             "picture_place",
                             "picture_orientation",
                             "answers",
                             "prompt",
                             "picture_cache",
                             "on_problem"});
  DataOptions data;
  data.path = fields.string("path");
  if (data.path.empty()) fields.at("path").fail_here("is empty");
  if (fields.has("expect")) {
    const YamlFields expect = fields.at("expect");
    expect.require_known_keys({"samples", "question_tokens", "answer_tokens"});
    ExpectedData& expected = data.expected.emplace();
    expected.samples = at_least(expect, "samples", 1, 1);
    expected.question_tokens = at_least(expect, "question_tokens", 1, 1);
    expected.answer_tokens = at_least(expect, "answer_tokens", 1, 1);
  }
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
  read_data_sources(fields, data);
  if (fields.has("picture_place")) {
    const YamlFields node = fields.at("picture_place");
    if (node.as_string() != "before" && node.as_string() != "after")
      node.fail_here(fmt::format("is '{}', needs before or after", node.as_string()));
    data.picture_place = node.as_string();
  }
  if (fields.has("picture_orientation")) {
    const YamlFields node = fields.at("picture_orientation");
    if (node.as_string() != "stored" && node.as_string() != "exif")
      node.fail_here(fmt::format("is '{}', needs stored or exif", node.as_string()));
    data.picture_orientation = parse_picture_orientation(node.as_string());
  }
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

/// An entry of `data`: one data set, or one for each combination of what its keys list.
std::vector<DataOptions> read_data_choices(const YamlFields& fields,
                                           const SweepOverrides& overrides) {
  require_no_name(fields, "name", {"path"});
  std::vector<VariantKey> keys{
      {"path", /*named=*/false}, {"picture_place"}, {"picture_orientation"}, {"bos"}};
  for (const char* key :
       {"turn", "context_words", "answer_words", "prompt_tokens", "answer_tokens", "stride"})
    keys.push_back({key, /*named=*/true, /*ranges=*/true});
  std::vector<DataOptions> sets;
  for (const Variant& variant : variants_of(fields, keys)) {
    sets.push_back(read_data_choice(variant.fields, overrides));
    sets.back().name += variant.suffix;
    if (overrides.record_problems) sets.back().on_problem = OnProblem::kRecord;
  }
  return sets;
}

/// The value of a key that takes one of a few words.
std::string one_of(const YamlFields& fields, const std::string& key,
                   const std::vector<std::string>& words) {
  if (!fields.has(key)) return words.front();
  const YamlFields node = fields.at(key);
  const std::string word = node.as_string();
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
    for (ModelChoice& model : read_model(node, overrides))
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
    for (DataOptions& data : config.data) data.needs_answers = false;
  } else if (!config.metrics.perplexity && config.metrics.text.empty() &&
             !config.metrics.agreement) {
    root.at("metrics").fail_here("leaves nothing to measure");
  }
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
  for (const ModelChoice& model : config.models) {
    json["models"].push_back(
        {{"path", model.path.string()},
         {"label", model.label},
         {"device", model.device},
         {"dtype", model.dtype},
         {"prompt_format", model.prompt_format},
         {"image_aspect_ratio",
          model.image_aspect_ratio ? image_aspect_ratio_name(*model.image_aspect_ratio) : "auto"},
         {"picture_place", place_name(model.picture_place)}});
    // Unsaid where it is Pillow's, as in configurations that were stored before there was a choice.
    if (model.pixels != PixelBackend::kPil)
      json["models"].back()["pixels"] = pixel_backend_name(model.pixels);
  }
  json["data"] = Json::array();
  for (const DataOptions& data : config.data) {
    Json entry{{"path", data.path.string()},
               {"format", data.format},
               {"name", data.name},
               {"turn", data.turn},
               {"image_root", data.image_root.string()}};
    // Written only where they are set: earlier records were made without them.
    if (!data.picture_place.empty()) entry["picture_place"] = data.picture_place;
    if (data.picture_orientation != PictureOrientation::kStored)
      entry["picture_orientation"] = picture_orientation_name(data.picture_orientation);
    if (!data.answers.empty()) entry["answers"] = data.answers.string();
    if (!data.prompt.empty()) entry["prompt"] = data.prompt;
    if (data.tokens) {
      entry["prompt_tokens"] = data.tokens->prompt_tokens;
      entry["answer_tokens"] = data.tokens->answer_tokens;
      // Without one it depends on the tokenizer: so far as a window takes of the text.
      if (data.tokens->stride) entry["stride"] = *data.tokens->stride;
      entry["bos"] = bos_rule_name(data.tokens->bos);
    } else {
      entry["context_words"] = data.context_words;
      entry["answer_words"] = data.answer_words;
    }
    if (!records_only) {
      if (data.limit) entry["limit"] = *data.limit;
      entry["offset"] = data.offset;
      if (!data.sample_ids.empty()) entry["sample_ids"] = data.sample_ids;
      if (!data.picture_cache.empty()) entry["picture_cache"] = data.picture_cache.string();
      if (data.on_problem == OnProblem::kRecord) entry["on_problem"] = "record";
    }
    json["data"].push_back(std::move(entry));
  }
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
