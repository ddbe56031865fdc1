#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "strategies/component.h"
#include "strategies/parameters.h"

namespace elastikv {

/// Where components come from that are no part of the program.
struct PluginOrigin {
  std::string file;  ///< as it was named, for messages
  std::string path;  ///< absolute, without links: what tells two plugins apart
  std::string hash;  ///< of its content, 16 hexadecimal digits
};

/// Makes a component from what a preset says of it; Errors as those of built-in ones.
template <typename Role>
using PluginMaker = std::function<std::shared_ptr<const Role>(const Parameters&)>;

/// A kind that a plugin brings.
template <typename Role>
struct PluginKind {
  std::string kind;
  PluginMaker<Role> make;
  PluginOrigin origin;
};

/// The components of one plugin. What loads it fills them in; nothing knows them before
/// register_plugin.
class PluginComponents {
 public:
  explicit PluginComponents(PluginOrigin origin);

  const PluginOrigin& origin() const { return origin_; }

  /// Adds a kind, as presets will call it: letters, digits, _ and -. Error for another name, and
  /// for one that the plugin has in that role already.
  void add_importance(const std::string& kind, PluginMaker<Importance> make);
  void add_allocation(const std::string& kind, PluginMaker<Allocation> make);
  void add_heads(const std::string& kind, PluginMaker<HeadAllocation> make);
  void add_selection(const std::string& kind, PluginMaker<Selection> make);
  void add_compaction(const std::string& kind, PluginMaker<Compaction> make);
  void add_generation(const std::string& kind, PluginMaker<Generation> make);

  const std::vector<PluginKind<Importance>>& importances() const { return importances_; }
  const std::vector<PluginKind<Allocation>>& allocations() const { return allocations_; }
  const std::vector<PluginKind<HeadAllocation>>& heads() const { return heads_; }
  const std::vector<PluginKind<Selection>>& selections() const { return selections_; }
  const std::vector<PluginKind<Compaction>>& compactions() const { return compactions_; }
  const std::vector<PluginKind<Generation>>& generations() const { return generations_; }

 private:
  template <typename Role>
  void add(const char* role, const std::string& kind, PluginMaker<Role> make,
           std::vector<PluginKind<Role>>& kinds);

  PluginOrigin origin_;
  std::vector<PluginKind<Importance>> importances_;
  std::vector<PluginKind<Allocation>> allocations_;
  std::vector<PluginKind<HeadAllocation>> heads_;
  std::vector<PluginKind<Selection>> selections_;
  std::vector<PluginKind<Compaction>> compactions_;
  std::vector<PluginKind<Generation>> generations_;
};

}  // namespace elastikv
