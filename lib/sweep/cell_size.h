#pragma once

#include <cstdint>

#include "strategies/budget.h"
#include "sweep/cell.h"

namespace elastikv {

/// What a cell that shares its prompt's entries with others holds beside them, in entries of a
/// layer for each KV head.
class CellSize {
 public:
  /// Error where there is no such strategy.
  CellSize(const StrategyChoice& strategy, const BudgetChoice& budget,
           CompressAt at = CompressAt::kPromptEnd);

  /// At most, while `added` tokens follow a prompt.
  int64_t room(int64_t prompt, int64_t added) const;
  /// Tokens of a prompt that it adds after its compression, where `earliest` come after the
  /// earliest one of all cells.
  int64_t late(int64_t earliest) const;
  /// At most, after its compression: merging changes the anchors that something is merged into, no
  /// more than it evicts.
  int64_t merged(int64_t prompt) const;
  /// Whether its positions are ranks: such cells together need the prompt's keys un-rotated, too.
  bool rerotates() const { return rerotates_; }

 private:
  Budget budget_;
  CompressAt at_;
  bool rerotates_ = false;
  bool merges_ = true;
};

}  // namespace elastikv
