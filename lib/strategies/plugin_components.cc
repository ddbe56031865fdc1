#include "strategies/plugin_components.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace elastikv {
namespace {

bool fits(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

}  // namespace

PluginComponents::PluginComponents(PluginOrigin origin) : origin_(std::move(origin)) {}

template <typename Role>
void PluginComponents::add(const char* role, const std::string& kind, PluginMaker<Role> make,
                           std::vector<PluginKind<Role>>& kinds) {
  if (kind.empty() || !std::all_of(kind.begin(), kind.end(), fits)) {
    fail("{}: registers the {} '{}', but a kind may have letters, digits and the characters _ -",
         origin_.file, role, kind);
  }
  if (!make) fail("{}: registers the {} '{}' without its maker", origin_.file, role, kind);
  for (const PluginKind<Role>& other : kinds) {
    if (other.kind == kind) fail("{}: registers the {} '{}' twice", origin_.file, role, kind);
  }
  kinds.push_back({kind, std::move(make), origin_});
}

void PluginComponents::add_importance(const std::string& kind, PluginMaker<Importance> make) {
  add("importance", kind, std::move(make), importances_);
}

void PluginComponents::add_allocation(const std::string& kind, PluginMaker<Allocation> make) {
  add("allocation", kind, std::move(make), allocations_);
}

void PluginComponents::add_heads(const std::string& kind, PluginMaker<HeadAllocation> make) {
  add("heads", kind, std::move(make), heads_);
}

void PluginComponents::add_selection(const std::string& kind, PluginMaker<Selection> make) {
  add("selection", kind, std::move(make), selections_);
}

void PluginComponents::add_compaction(const std::string& kind, PluginMaker<Compaction> make) {
  add("compaction", kind, std::move(make), compactions_);
}

void PluginComponents::add_generation(const std::string& kind, PluginMaker<Generation> make) {
  add("generation", kind, std::move(make), generations_);
}

}  // namespace elastikv
