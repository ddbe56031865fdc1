#pragma once

#include <string_view>

#include "strategies/plugin_components.h"

namespace elastikv {

/// What this program is to plugins (plugin_abi.h).
std::string_view program_plugin_abi();
/// What that text begins with in a library.
std::string_view plugin_abi_mark();

/// Loads the library that the components' origin names and has it register them. It is never
/// unloaded: what it made may live on. Error naming the file for one that is no library or no
/// plugin, that was built for another program, or that fails.
void read_plugin_library(PluginComponents& components);

}  // namespace elastikv
