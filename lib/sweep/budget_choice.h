#pragma once

#include <vector>

#include "base/keys_fwd.h"
#include "base/yaml_fields.h"
#include "sweep/cell.h"

namespace elastikv {

/// The keys of the section `budgets`.
const Keys<std::vector<BudgetChoice>>& budget_keys();

/// A section `budgets`: fractions ascending as listed, then token counts. Error naming line and key
/// for what is unknown, malformed or given twice.
std::vector<BudgetChoice> read_budgets(const YamlFields& fields);

}  // namespace elastikv
