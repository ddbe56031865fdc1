#include "sweep/cell_batches.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
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

/// Why `work` ran out of memory; empty: it did not.
template <typename Work>
std::string without_memory(Work work) {
  try {
    work();
    return "";
  } catch (const OutOfMemory& error) {
    return error.what();
  } catch (const std::bad_alloc&) {
    return "out of memory";
  }
}

}  // namespace

CellBatches::CellBatches(SampleEvaluator& evaluator, const std::vector<Cell>& cells,
                         bool needs_full)
    : evaluator_(evaluator),
      cells_(cells),
      needs_full_(needs_full),
      together_(cells.size()),
      in_a_row_(cells.size()) {}

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
  if (done_[0] && needs_full_) return std::move(outcome_);
  std::unique_ptr<SampleRun> run;
  const std::string no_prompt = without_memory([&] {
    if (!open.empty()) run = evaluator_.begin(sample, cells_);
  });
  if (!no_prompt.empty()) {
    for (const size_t i : open) fail_cell(i, no_prompt);
    evaluator_.release_memory();
  }
  const std::vector<size_t> tried = open;
  size_t most = together_;
  size_t fitted = 1;  // the most that ran together
  while (run != nullptr && !open.empty()) {
    const size_t before = open.size();
    const std::string why = run_some(*run, open, most);
    fitted = std::max(fitted, before - open.size());
    if (why.empty()) continue;
    evaluator_.release_memory();
    if (most > 1 && open.size() > 1) {
      most = std::max<size_t>(1, std::min(most, open.size()) / 2);
      continue;
    }
    const size_t cell = open.front();
    open.erase(open.begin());
    fail_cell(cell, why);
    if (cell == 0 && needs_full_) break;
  }
  if (most < together_) together_ = fitted;
  for (const size_t i : tried) {
    if (!done_[i]) continue;
    const CellOutcome& cell = outcome_.cells[i];
    const bool failed = !cell.error.empty() && cell.failure == Failure::kOutOfMemory;
    in_a_row_[i] = failed ? in_a_row_[i] + 1 : 0;
  }
  return std::move(outcome_);
}

std::vector<SampleOutcome> CellBatches::evaluate(std::span<const Sample* const> samples) {
  not_tried_ = 0;
  const bool all_cells = together_ == cells_.size() &&
                         std::all_of(in_a_row_.begin(), in_a_row_.end(),
                                     [](int64_t failures) { return failures < kPatience; });
  while (all_cells && std::min(samples.size(), samples_together_) > 1) {
    const std::span<const Sample* const> some =
        samples.first(std::min(samples.size(), samples_together_));
    std::vector<SampleOutcome> outcomes;
    const std::string why =
        without_memory([&] { outcomes = evaluator_.evaluate_together(some, cells_); });
    if (why.empty()) {
      ELASTIKV_ASSERT(outcomes.empty() || outcomes.size() == some.size(),
                      "{} outcomes of {} samples", outcomes.size(), some.size());
      if (!outcomes.empty()) std::fill(in_a_row_.begin(), in_a_row_.end(), 0);
      return outcomes;
    }
    evaluator_.release_memory();
    samples_together_ = some.size() / 2;
  }
  return {};
}

std::string CellBatches::run_some(SampleRun& run, std::vector<size_t>& open, size_t most) {
  const std::span<const size_t> batch(open.data(), std::min(open.size(), most));
  SampleOutcome part;
  std::string why = without_memory([&] { part = run.evaluate(batch); });
  if (!why.empty()) return why;
  const size_t ran = part.cells.size();
  ELASTIKV_ASSERT(ran > 0 && ran <= batch.size(), "{} outcomes of {} cells", ran, batch.size());
  outcome_.prompt_tokens = part.prompt_tokens;
  outcome_.image_tokens = part.image_tokens;
  add_seconds(outcome_.seconds, part.seconds);
  for (size_t i = 0; i < ran; ++i) {
    outcome_.cells[batch[i]] = std::move(part.cells[i]);
    done_[batch[i]] = true;
  }
  open.erase(open.begin(), open.begin() + static_cast<std::ptrdiff_t>(ran));
  return "";
}

void CellBatches::fail_cell(size_t cell, const std::string& why) {
  outcome_.cells[cell].error = why;
  outcome_.cells[cell].failure = Failure::kOutOfMemory;
  done_[cell] = true;
}

}  // namespace elastikv
