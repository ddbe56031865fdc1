#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "runtime/machine.h"
#include "sweep/engine.h"
#include "sweep/estimate.h"
#include "sweep/plan.h"

namespace elastikv {

/// What the parts of a sample take on this machine: a few layers of the group's model, their
/// weights invented, went through a prompt and some tokens of all its cells, with the group's own
/// strategies, and stand for all layers. No checkpoint is read.
struct Trial {
  int64_t layers = 0;               ///< that were run
  double prompt_token_seconds = 0;  ///< a prompt's prefills and statistics, per token
  int64_t moments = 1;              ///< of compression, each with a prefill
  double compression_seconds = 0;   ///< of all cells of a sample
  double scored_token_seconds = 0;  ///< a token of an answer or an option, all cells together
  double step_seconds = 0;          ///< a new token, all cells together
  double tower_operations_per_second = 0;

  /// Of one sample whose cells run together.
  double seconds(const EvaluationSettings& settings, const ModelSize& model,
                 const SampleSize& sample) const;
};

/// Runs a trial on the group's device, some seconds, with prompts and answers as long as `samples`
/// have on average; where cells run one after the other, of a group of the first compressing cell.
/// Cells that need an image are counted as the mean of the others. Nothing where the device is not
/// there, or has not `available` bytes enough.
std::optional<Trial> run_trial(const CellGroup& group, const EvaluationSettings& settings,
                               const ModelSize& model, std::span<const SampleSize> samples,
                               int64_t available);

/// Seconds that all samples of a group take.
double seconds_of(const Trial& trial, const CellGroup& group, const EvaluationSettings& settings,
                  const ModelSize& model, std::span<const SampleSize> samples);

/// The same by a device's rates, where no trial can be run: what prefills, scoring and writing
/// compute and read, as if no more had to be done and every text went on to max_new_tokens.
double seconds_of(const MachineRates& rates, const CellGroup& group,
                  const EvaluationSettings& settings, const ModelSize& model,
                  std::span<const SampleSize> samples);

}  // namespace elastikv
