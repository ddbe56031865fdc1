#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/yaml_fields.h"
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

/// All components there are, by role and kind, such as "compaction/evict": the parts of the program
/// that have revisions (base/revisions.h).
std::vector<std::string> component_parts();

/// Composes a preset; `overrides` are "component.parameter=value" texts applied on top (a sweep's
/// `set:`). Error for an unknown preset, component or parameter, with the nearest valid name.
std::unique_ptr<Strategy> make_strategy(const std::string& preset,
                                        const std::vector<std::string>& overrides = {});

/// Composes a strategy from an already parsed preset file.
std::unique_ptr<Strategy> make_strategy(const YamlFields& preset);

}  // namespace elastikv
