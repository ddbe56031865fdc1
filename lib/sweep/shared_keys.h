#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "base/keys.h"
#include "sweep/budget_choice.h"
#include "sweep/labels.h"
#include "sweep/placement.h"
#include "sweep/strategy_choice.h"

namespace elastikv {

// Keys that sweeps and benchmarks share. `Config` is what a file is read into, `Model` an entry of
// its models.

/// More tokens than any prompt or answer may ask for.
constexpr int64_t kMostNewTokens = 1 << 20;

/// `name`, by default the file's.
template <typename Config>
void add_name(Keys<Config>& keys, ValueForm<std::string> form, std::string help) {
  keys.add("name", &Config::name, std::move(form), std::move(help),
           {.hashed = false, .otherwise = "the file's"},
           [](const YamlFields& fields, Config& config) {
             config.name = as_label(std::filesystem::path(fields.origin()).stem().string());
           });
}

/// `strategies`; `otherwise` fills in the default of a key that is not required.
template <typename Config>
void add_strategies(Keys<Config>& keys, KeyTraits traits,
                    typename Keys<Config>::Otherwise otherwise = {}) {
  keys.entries(
      "strategies",
      {.read = [](const YamlFields& node,
                  Config& config) { config.strategies = read_all_strategies(node); },
       .write = [](const Config& config) { return strategy_keys().write_all(config.strategies); },
       .otherwise = std::move(otherwise)},
      strategy_keys(), "presets, or mappings", "What decides which entries of the cache stay.",
      std::move(traits));
}

/// `plugins`. A plugin changes records through the descriptions of strategies that have parts of
/// it, wherever its file lies.
template <typename Config>
void add_plugin_files(Keys<Config>& keys) {
  keys.add("plugins", &Config::plugins, text_list_form(),
           "Files with components of your own (`.so`, or `.py`), which strategies name like "
           "built-in ones.",
           {.written = Written::kWhereSet, .hashed = false});
}

/// `budgets`, which strategies other than the full cache need.
template <typename Config>
void add_budgets(Keys<Config>& keys) {
  keys.group("budgets",
             {.read =
                  [](const YamlFields& node, Config& config) {
                    config.budgets = read_budgets(node);
                    if (config.budgets.empty() && need_budgets(config.strategies))
                      node.fail_here("needs 'keep' or 'keep_tokens'");
                  },
              .write =
                  [](const Config& config) {
                    return config.budgets.empty() ? OrderedJson()
                                                  : budget_keys().write(config.budgets);
                  },
              .otherwise =
                  [](const YamlFields& fields, Config& config) {
                    if (need_budgets(config.strategies))
                      fields.fail_here("key 'budgets' is missing");
                  }},
             budget_keys(), "mapping", "How much of the cache is kept.",
             {.otherwise = "needed but for `full`"});
}

/// `label`, `device` and `dtype` of a model. A dtype may list, which makes a model of each: whoever
/// reads the entry reads it (dtypes_of).
template <typename Model>
void add_placement(Keys<Model>& keys, const std::string& label_otherwise,
                   typename Keys<Model>::Otherwise label) {
  keys.add("label", &Model::label, label_form(), "The name in tables.",
           {.otherwise = label_otherwise}, std::move(label));
  keys.add("device", &Model::device, device_form(), "Where it runs.");
  keys.custom("dtype", {.write = [](const Model& model) { return OrderedJson(model.dtype); }},
              or_list(dtype_form().takes, /*ranges=*/false),
              "The numbers it computes in. A list makes a model of each.",
              {.otherwise = "`" + Model{}.dtype + "`"});
}

}  // namespace elastikv
