#include "sweep/cell_size.h"

#include <algorithm>

#include "strategies/strategy.h"
#include "sweep/choices.h"

namespace elastikv {

CellSize::CellSize(const StrategyChoice& strategy, const BudgetChoice& budget)
    : budget_(make_budget(budget)) {
  if (budget_.is_unlimited()) return;
  const Strategy& compresses = strategy_of(strategy);
  rerotates_ = compresses.positions() == PositionMode::kRerotated;
  merges_ = compresses.merges();
}

int64_t CellSize::room(int64_t prompt, int64_t added) const {
  if (budget_.is_unlimited()) return added;
  return std::min(added, budget_.slots(prompt + added, prompt) + 1);
}

int64_t CellSize::merged(int64_t prompt) const {
  if (budget_.is_unlimited() || !merges_) return 0;
  const int64_t kept = budget_.slots(prompt, prompt);
  return std::min(kept, std::max<int64_t>(0, prompt - kept));
}

}  // namespace elastikv
