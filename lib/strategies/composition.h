#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strategies/component.h"

namespace elastikv {

/// A strategy made of components: importance, allocation, heads, selection, compaction,
/// generation, positions.
struct Composition {
  std::shared_ptr<const Importance> importance;  ///< null when nothing reads scores
  std::shared_ptr<const Allocation> allocation;
  std::shared_ptr<const HeadAllocation> heads;  ///< null: all heads of a layer alike
  std::shared_ptr<const Selection> selection;
  std::shared_ptr<const Compaction> compaction;
  std::shared_ptr<const Generation> generation;
  PositionMode positions = PositionMode::kOriginal;
  std::vector<std::string> parts;  ///< as in Strategy, sorted
  /// Those of them that plugins brought, each with the hash of its plugin:
  /// "importance/value_distance:0123456789abcdef".
  std::vector<std::string> plugins{};
};

/// Puts the components together; they must fit each other (checked by make_strategy).
std::unique_ptr<Strategy> compose(Composition composition);

std::string position_mode_name(PositionMode mode);

}  // namespace elastikv
