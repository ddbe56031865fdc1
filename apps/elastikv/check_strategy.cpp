#include <memory>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>

#include "base/error.h"
#include "examples.h"
#include "strategies/conformance.h"
#include "strategies/plugins.h"
#include "strategies/registry.h"
#include "strategy_options.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

struct CheckStrategyOptions {
  std::string strategy;
  std::vector<std::string> overrides;
  std::vector<std::string> plugins;
};

int check_strategy(const CheckStrategyOptions& options) {
  load_plugins(options.plugins);
  const YamlFields preset = read_preset(options.strategy, options.overrides);
  const std::vector<ConformanceCheck> checks =
      check_conformance([&preset] { return make_composition(preset); });
  fmt::print("{}: {}\n", preset_name(options.strategy), make_strategy(preset)->description());
  int broken = 0;
  for (const ConformanceCheck& check : checks) {
    if (!check.skipped.empty()) {
      fmt::print("  skipped  {}: {}\n", check.name, check.skipped);
    } else if (check.broken == 0) {
      fmt::print("  kept     {} ({} cases)\n", check.name, check.cases);
    } else {
      ++broken;
      fmt::print("  BROKEN   {} ({} of {} cases)\n           {}\n", check.name, check.broken,
                 check.cases, check.finding);
    }
  }
  if (broken > 0) fmt::print("{} of {} promises are broken\n", broken, checks.size());
  return broken == 0 ? 0 : 1;
}

}  // namespace

void add_check_strategy_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<CheckStrategyOptions>();
  CLI::App* verb = app.add_subcommand(
      "check-strategy",
      "Hold a preset to what all strategies promise, on made-up prompts: exact counts, protected "
      "entries, a cache within its budget, the same result twice");
  verb->add_option("strategy", options->strategy, "A preset, or the path of one")
      ->required()
      ->check(not_empty());
  verb->add_option("--set", options->overrides, "component.parameter=value on top of the preset")
      ->take_all();
  add_plugin_option(*verb, options->plugins);
  add_examples(*verb, {{"A preset of the program", "elastic"},
                       {"With another parameter", "elastic --set selection.sinks=4"}});
  verb->callback([options, &chosen] { chosen = [options] { return check_strategy(*options); }; });
}

}  // namespace elastikv
