#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/sample.h"
#include "sweep/cell.h"
#include "sweep/engine.h"

namespace elastikv {

/// Samples of one context that run together at most: what is lost when a run is interrupted.
constexpr size_t kSamplesTogether = 16;

/// Evaluates samples in all cells together and, where memory does not suffice for that, in several
/// batches after one prefill, so that only a cell that does not fit by itself fails, with
/// Failure::kOutOfMemory. How many cells ran together after memory did not suffice is remembered
/// for the samples to come. A cell that ran out of memory on three samples in a row is not tried
/// again.
class CellBatches final {
 public:
  /// `needs_full`: the others are compared with the full cache, the first cell, and are worth
  /// nothing without it.
  CellBatches(SampleEvaluator& evaluator, const std::vector<Cell>& cells, bool needs_full);

  /// One outcome per cell; those of cells that need the full cache where it failed are left empty.
  /// Throws what the evaluator throws but for OutOfMemory.
  SampleOutcome evaluate(const Sample& sample);
  /// Samples of one context in all cells: the outcomes of the first of them, as many as fit into
  /// memory together, which is remembered, too. None: each is to be evaluated by itself. Throws
  /// what the evaluator throws but for OutOfMemory.
  std::vector<SampleOutcome> evaluate(std::span<const Sample* const> samples);

  /// Cells of the last sample that were given up before.
  int64_t not_tried() const { return not_tried_; }

 private:
  /// Runs the first of `open`, at most `most` of them, and takes them out of it. Says why that ran
  /// out of memory; empty: it did not.
  std::string run_some(SampleRun& run, std::vector<size_t>& open, size_t most);
  void fail_cell(size_t cell, const std::string& why);

  SampleEvaluator& evaluator_;
  const std::vector<Cell>& cells_;
  bool needs_full_;
  size_t together_;  // cells that are tried together
  size_t samples_together_ = kSamplesTogether;
  std::vector<int64_t> in_a_row_;  // samples on which a cell ran out of memory, by cell
  int64_t not_tried_ = 0;

  // Of the sample at hand.
  SampleOutcome outcome_;
  std::vector<bool> done_;  // by cell
};

}  // namespace elastikv
