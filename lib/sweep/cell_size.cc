#include "sweep/cell_size.h"

#include <algorithm>

#include "base/error.h"
#include "strategies/strategy.h"
#include "sweep/choices.h"

namespace elastikv {

CellSize::CellSize(const StrategyChoice& strategy, const BudgetChoice& budget, CompressAt at)
    : budget_(make_budget(budget)), at_(at) {
  if (budget_.is_unlimited()) return;
  const Strategy& compresses = strategy_of(strategy);
  rerotates_ = compresses.positions() == PositionMode::kRerotated;
  merges_ = compresses.merges();
}

int64_t CellSize::room(int64_t prompt, int64_t added) const {
  if (budget_.is_unlimited()) return added;
  return std::min(added, budget_.slots(prompt + added, prompt) + 1);
}

int64_t CellSize::late(int64_t earliest) const {
  switch (at_) {
    case CompressAt::kPromptEnd:
      return 0;
    case CompressAt::kBeforeLastToken:
      return std::min<int64_t>(earliest, 1);
    case CompressAt::kBeforeQuestion:
      return earliest;
  }
  throw InternalError("a moment of compression without a rule");
}

int64_t CellSize::merged(int64_t prompt) const {
  if (budget_.is_unlimited() || !merges_) return 0;
  const int64_t kept = budget_.slots(prompt, prompt);
  return std::min(kept, std::max<int64_t>(0, prompt - kept));
}

}  // namespace elastikv
