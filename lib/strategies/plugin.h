#pragma once

// All that the source of a plugin includes: the roles to derive from (component.h), what reads
// their parameters, what built-in ones share, and how it says what it brings.

#include <fmt/format.h>

#include "base/error.h"
#include "strategies/allocation.h"
#include "strategies/component.h"
#include "strategies/components.h"
#include "strategies/eviction_policy.h"
#include "strategies/importance.h"
#include "strategies/merge_options.h"
#include "strategies/parameters.h"
#include "strategies/plugin_abi.h"
#include "strategies/plugin_components.h"
#include "strategies/selection.h"

/// Begins the function that registers a plugin's components, once in a library:
///   ELASTIKV_PLUGIN(components) {
///     components.add_importance("value_distance", make_value_distance);
///   }
/// What it throws refuses the plugin, with its text.
#define ELASTIKV_PLUGIN(components)                                               \
  extern "C" {                                                                    \
  __attribute__((visibility("default"))) extern const char elastikv_plugin_abi[]; \
  const char elastikv_plugin_abi[] = ELASTIKV_PLUGIN_MARK ELASTIKV_PLUGIN_ABI;    \
  __attribute__((visibility("default"))) void elastikv_register_plugin(           \
      ::elastikv::PluginComponents& components);                                  \
  }                                                                               \
  void elastikv_register_plugin(::elastikv::PluginComponents& components)
