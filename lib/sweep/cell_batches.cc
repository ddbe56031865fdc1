#include "sweep/cell_batches.h"

#include <new>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"

namespace elastikv {
namespace {

/// Samples in a row on which a cell may run out of memory before it is given up.
constexpr int64_t kPatience = 3;

void add_seconds(SharedSeconds& sum, const SharedSeconds& more) {
  sum.image += more.image;
  sum.prefill += more.prefill;
  sum.statistics += more.statistics;
  sum.scoring += more.scoring;
  sum.generation += more.generation;
}

}  // namespace

CellBatches::CellBatches(SampleEvaluator& evaluator, const std::vector<Cell>& cells,
                         Reference reference)
    : evaluator_(evaluator), cells_(cells), reference_(reference), in_a_row_(cells.size()) {}

SampleOutcome CellBatches::evaluate(const Sample& sample) {
  outcome_ = SampleOutcome{};
  outcome_.cells.resize(cells_.size());
  done_.assign(cells_.size(), false);
  not_tried_ = 0;
  std::vector<size_t> open;
  for (size_t i = 0; i < cells_.size(); ++i) {
    if (in_a_row_[i] < kPatience) {
      open.push_back(i);
      continue;
    }
    fail_cell(i, fmt::format("not tried: ran out of memory on the {} samples before", kPatience));
    ++not_tried_;
  }
  const bool needs_full = reference_ != Reference::kNone;
  if (done_[0] && needs_full) return std::move(outcome_);
  if (!open.empty() && !try_cells(sample, open)) {
    std::vector<size_t> others = open;
    bool with_full = false;
    if (open.front() == 0) {
      others.erase(others.begin());
      // By itself first: without it the others may be worth nothing.
      const bool full_fits = !others.empty() && try_cells(sample, {0});
      if (!full_fits) fail_cell(0, why_);
      if (!full_fits && needs_full) others.clear();
      with_full = full_fits && reference_ == Reference::kBatch;
    } else if (open.size() == 1) {
      fail_cell(open.front(), why_);
      others.clear();
    }
    run_in_parts(sample, others, with_full);
  }
  for (const size_t i : open) {
    if (!done_[i]) continue;
    const CellOutcome& cell = outcome_.cells[i];
    const bool failed = !cell.error.empty() && cell.failure == Failure::kOutOfMemory;
    in_a_row_[i] = failed ? in_a_row_[i] + 1 : 0;
  }
  return std::move(outcome_);
}

void CellBatches::run_in_parts(const Sample& sample, const std::vector<size_t>& cells,
                               bool with_full) {
  const auto middle = cells.begin() + static_cast<int64_t>(cells.size() / 2);
  for (const auto& part :
       {std::vector<size_t>(cells.begin(), middle), std::vector<size_t>(middle, cells.end())}) {
    if (part.empty()) continue;
    std::vector<size_t> group = part;
    if (with_full) group.insert(group.begin(), 0);
    if (try_cells(sample, group)) continue;
    if (part.size() > 1) {
      run_in_parts(sample, part, with_full);
    } else {
      fail_cell(part.front(),
                why_ + (with_full ? ", beside the full cache that it is compared with" : ""));
    }
  }
}

bool CellBatches::try_cells(const Sample& sample, const std::vector<size_t>& group) {
  std::vector<Cell> cells;
  cells.reserve(group.size());
  for (const size_t i : group) cells.push_back(cells_[i]);
  SampleOutcome part;
  try {
    part = evaluator_.evaluate(sample, cells);
  } catch (const OutOfMemory& error) {
    why_ = error.what();
    evaluator_.release_memory();
    return false;
  } catch (const std::bad_alloc&) {
    why_ = "out of memory";
    evaluator_.release_memory();
    return false;
  }
  ELASTIKV_ASSERT(part.cells.size() == group.size(), "{} outcomes of {} cells", part.cells.size(),
                  group.size());
  outcome_.prompt_tokens = part.prompt_tokens;
  outcome_.image_tokens = part.image_tokens;
  add_seconds(outcome_.seconds, part.seconds);
  for (size_t i = 0; i < group.size(); ++i) {
    if (done_[group[i]]) continue;  // the full cache, again
    outcome_.cells[group[i]] = std::move(part.cells[i]);
    done_[group[i]] = true;
  }
  return true;
}

void CellBatches::fail_cell(size_t cell, const std::string& why) {
  outcome_.cells[cell].error = why;
  outcome_.cells[cell].failure = Failure::kOutOfMemory;
  done_[cell] = true;
}

}  // namespace elastikv
