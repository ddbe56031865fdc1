#include "strategies/registry.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/configs.h"
#include "base/error.h"
#include "base/nearest_name.h"
#include "strategies/components.h"
#include "strategies/composition.h"
#include "strategies/parameters.h"
#include "strategies/plugin_guards.h"
#include "strategies/plugins.h"

namespace elastikv {
namespace {

// The roles of components, as presets call them.
constexpr const char* kImportance = "importance";
constexpr const char* kAllocation = "allocation";
constexpr const char* kHeads = "heads";
constexpr const char* kSelection = "selection";
constexpr const char* kCompaction = "compaction";
constexpr const char* kGeneration = "generation";

/// A component by its kind, the program's own or a plugin's; that of a plugin is checked wherever
/// it is asked.
template <typename Component>
std::shared_ptr<const Component> make_component(const Parameters& parameters, std::string_view role,
                                                const Kinds<Component>& kinds,
                                                const std::vector<PluginKind<Component>>& plugins) {
  const std::string name = parameters.kind();
  std::vector<std::string> known;
  for (const auto& [kind, make] : kinds) {
    if (name == kind) return make(parameters);
    known.emplace_back(kind);
  }
  for (const PluginKind<Component>& plugin : plugins) {
    if (name == plugin.kind) return make_guarded(plugin, role, parameters);
    known.push_back(plugin.kind);
  }
  parameters.fail_kind(fmt::format("names no {}: '{}'{}", role, name, suggestion(name, known)));
}

PositionMode make_positions(const YamlFields& preset) {
  const YamlFields node = preset.at("positions");
  const std::string name = node.as_string();
  std::vector<std::string> known;
  for (const PositionMode mode :
       {PositionMode::kOriginal, PositionMode::kCacheLength, PositionMode::kRerotated}) {
    known.push_back(position_mode_name(mode));
    if (name == known.back()) return mode;
  }
  node.fail_here(fmt::format("names no position mode: '{}'{}", name, suggestion(name, known)));
}

/// While generating, statistics are made from the cache and its attention rows: not all that a
/// prefill gives is there.
void require_recomputable(const YamlFields& preset, const Composition& parts) {
  if (parts.importance->accumulation() == Importance::Accumulation::kMeanOverObservers) {
    preset.at("generation")
        .fail_here(
            "compresses again while generating, where it is not known how many queries saw an "
            "entry, so the 'importance' needs another 'reduce' than mean");
  }
  const StatisticsRequest request =
      parts.importance->needs() | parts.selection->needs() | parts.compaction->needs();
  const PrefillRequest& prefill = request.prefill;
  if (request.post_image_rows || prefill.column_max || prefill.row_entropy ||
      !prefill.decays.empty() || !prefill.query_moments.empty()) {
    preset.at("generation")
        .fail_here(
            "compresses again while generating, where only keys, values, accumulated attention "
            "and the last attention rows are known, but the strategy reads more of the prompt");
  }
  if (parts.importance->granularity() == Granularity::kModel) {
    preset.at("importance")
        .fail_here("has granularity model, but layers are compressed again one by one");
  }
}

/// Entries of the answer that were placed at the cache's length hold a rotation that their token
/// index does not tell, so they cannot be turned to an anchor's position.
void require_known_rotations(const YamlFields& preset, const Composition& parts) {
  const bool merges_answers =
      parts.compaction->step_plan_options().key_space == LayerPlan::KeySpace::kUnrotated ||
      parts.generation->recompresses();
  if (parts.positions == PositionMode::kCacheLength && parts.compaction->merges_unrotated_keys() &&
      merges_answers) {
    preset.at("compaction")
        .fail_here(
            "merges un-rotated keys while generating, which needs positions 'original' or "
            "'rerotated'");
  }
}

/// Refuses combinations in which one component reads what another does not give.
void require_fit(const YamlFields& preset, const Composition& parts) {
  require_known_rotations(preset, parts);
  if (parts.importance == nullptr) {
    if (parts.selection->needs_scores()) {
      preset.at("selection").fail_here("reads scores, so an 'importance' is needed");
    }
    if (parts.compaction->needs_scores()) {
      preset.at("compaction").fail_here("weighs by scores, so an 'importance' is needed");
    }
    if (parts.generation->accumulates() || parts.generation->recompresses()) {
      preset.at("generation").fail_here("goes on scoring entries, so an 'importance' is needed");
    }
    if (parts.heads != nullptr) {
      preset.at("heads").fail_here("compares scores, so an 'importance' is needed");
    }
    return;
  }
  if (parts.generation->accumulates() &&
      parts.importance->accumulation() == Importance::Accumulation::kNone) {
    preset.at("generation")
        .fail_here(
            "accumulates attention, so the 'importance' has to be 'attention' with reduce sum or "
            "mean and heads mean");
  }
  if (parts.generation->recompresses()) require_recomputable(preset, parts);
  if (parts.heads != nullptr && parts.importance->granularity() != Granularity::kKvHead) {
    preset.at("heads").fail_here(
        "shares slots between heads, so an 'importance' of granularity kv_head is needed");
  }
  // Released classes hold one set of slots for all heads; H2O one for all layers too.
  const Granularity granularity = parts.importance->granularity();
  const Granularity finest =
      std::min(parts.selection->finest_granularity(), parts.generation->finest_granularity());
  if (granularity == Granularity::kKvHead && finest < granularity) {
    preset.at("importance")
        .fail_here("has granularity kv_head, but released code shares slots between heads");
  }
  if (finest < granularity) {
    preset.at("importance")
        .fail_here("needs granularity model: released H2O has one score for all layers");
  }
}

/// A component's role and kind, and those of the component that it is built on.
void add_parts(const std::string& role, const YamlFields& node, std::vector<std::string>& parts) {
  parts.push_back(fmt::format("{}/{}", role, Parameters(node).kind()));
  if (node.is_map() && node.has("base")) add_parts(role, node.at("base"), parts);
}

/// The fields of a preset of the program, or of a file.
YamlFields preset_fields(const std::string& name) {
  if (is_preset_path(name)) return YamlFields::read(name);
  const std::filesystem::path file = preset_folder() / (name + ".yaml");
  std::vector<std::string> known;
  for (const PresetInfo& preset : list_presets()) known.push_back(preset.name);
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    fail("strategy '{}' is unknown{}", name, suggestion(name, known));
  }
  return YamlFields::read(file);
}

}  // namespace

std::filesystem::path preset_folder() { return configs_folder() / "strategies"; }

std::vector<PresetInfo> list_presets() {
  const std::filesystem::path folder = preset_folder();
  std::error_code problem;
  std::filesystem::directory_iterator entries(folder, problem);
  if (problem) {
    fail("{}: the strategy presets cannot be read: {}", folder.string(), problem.message());
  }
  std::vector<PresetInfo> presets;
  for (const auto& entry : entries) {
    if (entry.path().extension() != ".yaml") continue;
    const YamlFields preset = YamlFields::read(entry.path());
    presets.push_back(
        {entry.path().stem().string(), preset.string("summary"), preset.string("citation")});
  }
  std::sort(presets.begin(), presets.end(),
            [](const PresetInfo& a, const PresetInfo& b) { return a.name < b.name; });
  return presets;
}

std::vector<std::string> component_parts() {
  std::vector<std::string> parts;
  const auto add = [&](const char* role, const auto& kinds) {
    for (const auto& [kind, make] : kinds) parts.push_back(fmt::format("{}/{}", role, kind));
  };
  add(kImportance, importances());
  add(kAllocation, allocations());
  add(kHeads, head_allocations());
  add(kSelection, selections());
  add(kCompaction, compactions());
  add(kGeneration, generations());
  return parts;
}

std::shared_ptr<const Importance> make_importance(const Parameters& parameters) {
  return make_component(parameters, kImportance, importances(), plugin_importances());
}

std::shared_ptr<const Allocation> make_allocation(const Parameters& parameters) {
  return make_component(parameters, kAllocation, allocations(), plugin_allocations());
}

std::shared_ptr<const Selection> make_selection(const Parameters& parameters) {
  return make_component(parameters, kSelection, selections(), plugin_selections());
}

std::shared_ptr<const Compaction> make_compaction(const Parameters& parameters) {
  return make_component(parameters, kCompaction, compactions(), plugin_compactions());
}

std::shared_ptr<const Generation> make_generation(const Parameters& parameters) {
  return make_component(parameters, kGeneration, generations(), plugin_generations());
}

bool is_preset_path(std::string_view preset) {
  return preset.find('/') != std::string_view::npos || preset.ends_with(".yaml");
}

std::string preset_name(const std::string& preset) {
  return is_preset_path(preset) ? std::filesystem::path(preset).stem().string() : preset;
}

YamlFields read_preset(const std::string& preset, const std::vector<std::string>& overrides) {
  YamlFields fields = preset_fields(preset);
  for (const std::string& text : overrides) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      fail("strategy '{}': '{}' is no component.parameter=value", preset, text);
    }
    fields = fields.with(text.substr(0, equals), text.substr(equals + 1));
  }
  return fields;
}

std::unique_ptr<Strategy> make_strategy(const std::string& preset,
                                        const std::vector<std::string>& overrides) {
  return make_strategy(read_preset(preset, overrides));
}

std::unique_ptr<Strategy> make_strategy(const YamlFields& preset) {
  return compose(make_composition(preset));
}

Composition make_composition(const YamlFields& preset) {
  preset.require_known_keys({"summary", "citation", "importance", "allocation", "heads",
                             "selection", "compaction", "generation", "positions"});
  const auto part = [&preset](const char* role) { return Parameters(preset.at(role)); };
  Composition parts;
  if (preset.has("importance")) parts.importance = make_importance(part("importance"));
  parts.allocation = make_allocation(part("allocation"));
  if (preset.has("heads"))
    parts.heads = make_component(part("heads"), kHeads, head_allocations(), plugin_heads());
  parts.selection = make_selection(part("selection"));
  parts.compaction = make_compaction(part("compaction"));
  parts.generation = make_generation(part("generation"));
  parts.positions = make_positions(preset);
  for (const char* role : {kImportance, kAllocation, kHeads, kSelection, kCompaction, kGeneration})
    if (preset.has(role)) add_parts(role, preset.at(role), parts.parts);
  std::sort(parts.parts.begin(), parts.parts.end());
  for (const PluginPart& plugin : plugin_parts()) {
    if (std::find(parts.parts.begin(), parts.parts.end(), plugin.part) != parts.parts.end())
      parts.plugins.push_back(fmt::format("{}:{}", plugin.part, plugin.origin.hash));
  }
  std::sort(parts.plugins.begin(), parts.plugins.end());
  require_fit(preset, parts);
  return parts;
}

}  // namespace elastikv
