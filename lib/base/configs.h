#pragma once

#include <filesystem>

namespace elastikv {

/// The folder of the files that come with the program (presets of strategies, prompt formats):
/// $ELASTIKV_CONFIGS, else configs/ of the source tree that the program was built from.
std::filesystem::path configs_folder();

}  // namespace elastikv
