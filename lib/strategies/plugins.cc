#include "strategies/plugins.h"

#include <algorithm>
#include <mutex>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"
#include "strategies/components.h"
#include "strategies/plugin_library.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

/// What all plugins of the process brought.
struct Registry {
  std::mutex mutex;
  std::vector<PluginComponents> plugins;
  PythonPluginLoader python;
  int64_t revision = 0;
};

Registry& registry() {
  static Registry& all = *new Registry;  // outlives what plugins keep until the process ends
  return all;
}

template <typename Role>
using KindsOf = const std::vector<PluginKind<Role>>& (PluginComponents::*)() const;

template <typename Role>
std::vector<PluginKind<Role>> all_kinds(KindsOf<Role> kinds_of) {
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  std::vector<PluginKind<Role>> kinds;
  for (const PluginComponents& plugin : all.plugins) {
    const std::vector<PluginKind<Role>>& own = (plugin.*kinds_of)();
    kinds.insert(kinds.end(), own.begin(), own.end());
  }
  return kinds;
}

/// Error for a kind of a plugin's that is the program's or another plugin's.
template <typename Role>
void require_new(const char* role, const PluginComponents& plugin, KindsOf<Role> kinds_of,
                 const Kinds<Role>& built_in, const std::vector<PluginComponents>& others) {
  for (const PluginKind<Role>& ours : (plugin.*kinds_of)()) {
    for (const auto& [kind, make] : built_in) {
      if (ours.kind == kind)
        fail("{}: registers the {} '{}', which elastikv has itself", ours.origin.file, role, kind);
    }
    for (const PluginComponents& other : others) {
      if (other.origin().path == plugin.origin().path) continue;
      for (const PluginKind<Role>& theirs : (other.*kinds_of)()) {
        if (ours.kind != theirs.kind) continue;
        fail("{}: registers the {} '{}', which {} has registered already", ours.origin.file, role,
             ours.kind, theirs.origin.file);
      }
    }
  }
}

/// Calls `use(role, kinds)` for the kinds of every role.
template <typename Use>
void for_each_role(const PluginComponents& plugin, const Use& use) {
  use("importance", plugin.importances());
  use("allocation", plugin.allocations());
  use("heads", plugin.heads());
  use("selection", plugin.selections());
  use("compaction", plugin.compactions());
  use("generation", plugin.generations());
}

PluginOrigin origin_of(const fs::path& file) {
  constexpr size_t kDigits = 16;
  std::error_code ignored;
  const fs::path path = fs::weakly_canonical(file, ignored);
  return {file.string(), path.empty() ? file.string() : path.string(),
          file_hash(file).substr(0, kDigits)};
}

}  // namespace

void load_plugin(const fs::path& file) {
  const fs::path end = file.extension();
  if (end != ".so" && end != ".py") {
    fail("{}: is no plugin, which is a library (.so) or a Python file (.py)", file.string());
  }
  PluginComponents components(origin_of(file));
  PythonPluginLoader python;
  bool known = false;
  {
    Registry& all = registry();
    const std::lock_guard<std::mutex> lock(all.mutex);
    for (const PluginComponents& plugin : all.plugins) {
      if (plugin.origin().path != components.origin().path) continue;
      if (plugin.origin().hash == components.origin().hash) return;
      known = true;
    }
    python = all.python;
  }
  if (end == ".so") {
    if (known) {
      fail("{}: has changed since this process loaded it, and a library is loaded once: start anew",
           file.string());
    }
    read_plugin_library(components);
  } else if (python) {
    python(file, components);
  } else {
    fail(
        "{}: a plugin in Python needs the elastikv of the Python package, which has an "
        "interpreter; this program has none",
        file.string());
  }
  register_plugin(components);
}

void load_plugins(const std::vector<std::string>& files) {
  for (const std::string& file : files) load_plugin(file);
}

void set_python_plugin_loader(PythonPluginLoader loader) {
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.python = std::move(loader);
}

void register_plugin(const PluginComponents& components) {
  size_t count = 0;
  for_each_role(components, [&](const char*, const auto& kinds) { count += kinds.size(); });
  if (count == 0) fail("{}: registers no component", components.origin().file);
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  using C = PluginComponents;
  require_new("importance", components, &C::importances, importances(), all.plugins);
  require_new("allocation", components, &C::allocations, allocations(), all.plugins);
  require_new("heads", components, &C::heads, head_allocations(), all.plugins);
  require_new("selection", components, &C::selections, selections(), all.plugins);
  require_new("compaction", components, &C::compactions, compactions(), all.plugins);
  require_new("generation", components, &C::generations, generations(), all.plugins);
  std::erase_if(all.plugins, [&](const PluginComponents& plugin) {
    return plugin.origin().path == components.origin().path;
  });
  all.plugins.push_back(components);
  ++all.revision;
}

std::vector<PluginPart> plugin_parts() {
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  std::vector<PluginPart> parts;
  for (const PluginComponents& plugin : all.plugins) {
    for_each_role(plugin, [&](const char* role, const auto& kinds) {
      for (const auto& kind : kinds)
        parts.push_back({fmt::format("{}/{}", role, kind.kind), kind.origin});
    });
  }
  return parts;
}

bool is_plugin_part(std::string_view part) {
  const std::vector<PluginPart> parts = plugin_parts();
  return std::any_of(parts.begin(), parts.end(),
                     [&](const PluginPart& known) { return known.part == part; });
}

int64_t plugins_revision() {
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.revision;
}

std::vector<PluginKind<Importance>> plugin_importances() {
  return all_kinds<Importance>(&PluginComponents::importances);
}
std::vector<PluginKind<Allocation>> plugin_allocations() {
  return all_kinds<Allocation>(&PluginComponents::allocations);
}
std::vector<PluginKind<HeadAllocation>> plugin_heads() {
  return all_kinds<HeadAllocation>(&PluginComponents::heads);
}
std::vector<PluginKind<Selection>> plugin_selections() {
  return all_kinds<Selection>(&PluginComponents::selections);
}
std::vector<PluginKind<Compaction>> plugin_compactions() {
  return all_kinds<Compaction>(&PluginComponents::compactions);
}
std::vector<PluginKind<Generation>> plugin_generations() {
  return all_kinds<Generation>(&PluginComponents::generations);
}

}  // namespace elastikv
