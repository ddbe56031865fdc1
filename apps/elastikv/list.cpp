#include <memory>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bench/bench_keys.h"
#include "datasets/dataset.h"
#include "examples.h"
#include "metrics/text_metrics.h"
#include "models/registry.h"
#include "strategies/plugins.h"
#include "strategies/registry.h"
#include "strategy_options.h"
#include "sweep/sweep_keys.h"
#include "sweep/task.h"
#include "text/prompt_format.h"
#include "verbs.h"

namespace elastikv {
namespace {

void list_strategies() {
  fmt::print("strategies ({}):\n", preset_folder().string());
  for (const PresetInfo& preset : list_presets()) {
    fmt::print("  {:<18}{}\n  {:<18}{}\n", preset.name, preset.summary, "", preset.citation);
  }
}

void list_prompts() {
  fmt::print("prompt formats (auto: the checkpoint's own chat template):\n");
  for (const PromptFormat& format : prompt_formats())
    fmt::print("  {:<24}{}\n", format.name, format.source);
}

void list_keys() {
  fmt::print("keys of a sweep's file:\n\n{}\nkeys of a benchmark's file:\n\n{}",
             sweep_keys_markdown(), bench_keys_markdown());
}

void list_tasks() {
  fmt::print("tasks:\n");
  for (const std::string& name : task_names())
    fmt::print("  {:<18}{}\n", name, read_task(name).summary);
}

/// The components that plugins brought, each with its file.
void list_plugins() {
  const std::vector<PluginPart> parts = plugin_parts();
  if (parts.empty()) return;
  fmt::print("components of plugins:\n");
  for (const PluginPart& plugin : parts) {
    fmt::print("  {}\n  {:<18}{} ({})\n", plugin.part, "", plugin.origin.file, plugin.origin.hash);
  }
}

/// The kinds that a preset may name in each role.
void list_components() {
  fmt::print("components:\n  {}\n", fmt::join(component_parts(), "\n  "));
  list_plugins();
}

int list(const std::string& what, const std::vector<std::string>& plugins) {
  load_plugins(plugins);
  const bool all = what == "all";
  if (all || what == "strategies") list_strategies();
  if (what == "strategies") list_plugins();
  if (all || what == "components") list_components();
  if (all || what == "models")
    fmt::print("architectures:\n  {}\n", fmt::join(known_architectures(), "\n  "));
  if (all || what == "prompts") list_prompts();
  if (all || what == "formats")
    fmt::print("data formats:\n  {}\n", fmt::join(data_formats(), "\n  "));
  if (all || what == "metrics")
    fmt::print("text metrics:\n  {}\nmetrics of answers:\n  {}\n",
               fmt::join(text_metric_names(), "\n  "), fmt::join(task_metric_names(), "\n  "));
  if (all || what == "tasks") list_tasks();
  if (all || what == "keys") list_keys();
  return 0;
}

}  // namespace

void add_list_verb(CLI::App& app, Verb& chosen) {
  const auto what = std::make_shared<std::string>("all");
  const auto plugins = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = app.add_subcommand("list",
                                      "List strategies, their components, model architectures, "
                                      "prompt formats, data formats, metrics, tasks and the "
                                      "keys of sweeps and benchmarks");
  verb->add_option("what", *what, "What to list")
      ->check(CLI::IsMember({"all", "strategies", "components", "models", "prompts", "formats",
                             "metrics", "tasks", "keys"}))
      ->capture_default_str();
  add_plugin_option(*verb, *plugins);
  add_examples(*verb, {{"Presets, with their papers", "strategies"}, {"Text metrics", "metrics"}});
  verb->callback(
      [what, plugins, &chosen] { chosen = [what, plugins] { return list(*what, *plugins); }; });
}

}  // namespace elastikv
