#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/yaml_fields.h"
#include "strategies/composition.h"
#include "strategies/strategy.h"

namespace elastikv {

/// A preset as configs/strategies/NAME.yaml states it.
struct PresetInfo {
  std::string name;
  std::string summary;   ///< one line for `elastikv list`
  std::string citation;  ///< paper or repository
};

/// The folder of the presets that come with the program: $ELASTIKV_CONFIGS/strategies, else the
/// source tree's configs.
std::filesystem::path preset_folder();

/// All presets, sorted by name. Error when the folder cannot be read.
std::vector<PresetInfo> list_presets();

/// All components of the program, by role and kind, such as "compaction/evict": the parts of it
/// that have revisions (base/revisions.h). Those of plugins are plugin_parts (plugins.h).
std::vector<std::string> component_parts();

/// Whether what is given for a preset's name is the path of a file of a preset's form: it has a
/// slash, or ends in .yaml.
bool is_preset_path(std::string_view preset);
/// A preset as it is called: by its name, or a file by its name without the ending.
std::string preset_name(const std::string& preset);

/// Composes a preset, by its name or from a file; `overrides` are "component.parameter=value" texts
/// applied on top (a sweep's `set:`). Error for an unknown preset, component or parameter, with the
/// nearest valid name.
std::unique_ptr<Strategy> make_strategy(const std::string& preset,
                                        const std::vector<std::string>& overrides = {});

/// Composes a strategy from an already parsed preset file.
std::unique_ptr<Strategy> make_strategy(const YamlFields& preset);

/// The fields of a preset with overrides, and the components that they name; errors as
/// make_strategy's.
YamlFields read_preset(const std::string& preset, const std::vector<std::string>& overrides = {});
Composition make_composition(const YamlFields& preset);

}  // namespace elastikv
