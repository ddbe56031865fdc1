#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/sample.h"
#include "sweep/cell.h"
#include "sweep/engine.h"

namespace elastikv {

/// Evaluates samples in all cells together and, where memory does not suffice for that, in smaller
/// and smaller groups, so that only a cell that does not fit by itself fails, with
/// Failure::kOutOfMemory. A cell that ran out of memory on three samples in a row is not tried
/// again.
class CellBatches final {
 public:
  /// What of the other cells hangs on the full cache, the first one.
  enum class Reference {
    kNone,     // nothing: they run without it where it does not fit
    kOutcome,  // they are compared with its outcome and are worth nothing without it
    kBatch,    // likewise, and they are measured against it while they run, in one group with it
  };

  CellBatches(SampleEvaluator& evaluator, const std::vector<Cell>& cells, Reference reference);

  /// One outcome per cell; those of cells that need the full cache where it failed are left empty.
  /// Throws what the evaluator throws but for OutOfMemory.
  SampleOutcome evaluate(const Sample& sample);

  /// Cells of the last sample that were given up before.
  int64_t not_tried() const { return not_tried_; }

 private:
  bool try_cells(const Sample& sample, const std::vector<size_t>& group);
  void run_in_parts(const Sample& sample, const std::vector<size_t>& cells, bool with_full);
  void fail_cell(size_t cell, const std::string& why);

  SampleEvaluator& evaluator_;
  const std::vector<Cell>& cells_;
  Reference reference_;
  std::vector<int64_t> in_a_row_;  // samples on which a cell ran out of memory, by cell
  int64_t not_tried_ = 0;

  // Of the sample at hand.
  SampleOutcome outcome_;
  std::vector<bool> done_;  // by cell
  std::string why_;         // the last group ran out of memory
};

}  // namespace elastikv
