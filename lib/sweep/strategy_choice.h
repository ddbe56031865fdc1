#pragma once

#include <vector>

#include "base/keys_fwd.h"
#include "base/yaml_fields.h"
#include "sweep/cell.h"

namespace elastikv {

/// The keys of an entry of `strategies`.
const Keys<StrategyChoice>& strategy_keys();

/// An entry of `strategies`: a preset's name, or a mapping of preset, name and set. A list or range
/// in `set` makes a strategy for each value (for each combination where several keys list), named
/// after it: "elastic-sinks2". Error naming line and key for an entry that is malformed.
std::vector<StrategyChoice> read_strategies(const YamlFields& node);
/// All entries. Error for two strategies with one name, too.
std::vector<StrategyChoice> read_all_strategies(const YamlFields& node);

/// Whether any is another than the full cache, which has no budget.
bool need_budgets(const std::vector<StrategyChoice>& strategies);

}  // namespace elastikv
