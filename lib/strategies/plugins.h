#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/plugin_components.h"

namespace elastikv {

// Components that come with a file of the user's rather than with the program. There is one set of
// them in a process, to which files are added; presets name their kinds like built-in ones.

/// Adds what a plugin brings, by the end of its name: .so is a library (plugin.h), .py is for the
/// loader of set_python_plugin_loader. A file that is loaded already is left alone, and replaced by
/// what it has become where it is Python's. Error naming the file for one that cannot be read, that
/// is none, or that brings a kind that there is: then nothing of it is added.
void load_plugin(const std::filesystem::path& file);
void load_plugins(const std::vector<std::string>& files);

/// Fills in the components of a Python file, whose origin says which; Error for one that fails.
using PythonPluginLoader = std::function<void(const std::filesystem::path&, PluginComponents&)>;
/// What reads .py files from here on: for the one program that has an interpreter. Null: nothing.
void set_python_plugin_loader(PythonPluginLoader loader);

/// Adds the components of a plugin, in the place of those that one of the same path had. Error for
/// a kind that is the program's own or another plugin's, and for a plugin without components.
void register_plugin(const PluginComponents& components);

/// A component that a plugin brought.
struct PluginPart {
  std::string part;  ///< by role and kind: "importance/value_distance"
  PluginOrigin origin;
};
/// All of them, in the order in which they came.
std::vector<PluginPart> plugin_parts();
/// Whether a part, as Strategy::parts names it, is a plugin's.
bool is_plugin_part(std::string_view part);
/// A number that changes whenever a plugin is added: what was made before may be made of other
/// parts.
int64_t plugins_revision();

/// The kinds that plugins brought, by role.
std::vector<PluginKind<Importance>> plugin_importances();
std::vector<PluginKind<Allocation>> plugin_allocations();
std::vector<PluginKind<HeadAllocation>> plugin_heads();
std::vector<PluginKind<Selection>> plugin_selections();
std::vector<PluginKind<Compaction>> plugin_compactions();
std::vector<PluginKind<Generation>> plugin_generations();

}  // namespace elastikv
