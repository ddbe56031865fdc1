#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "models/registry.h"
#include "runtime/cost.h"
#include "sweep/engine.h"
#include "sweep/plan.h"

namespace elastikv {

/// What a group of cells takes, from sizes alone.
struct GroupEstimate {
  MemoryNeed memory;  ///< at the longest sample
  int64_t longest_prompt = 0;
  double mean_prompt = 0;
};

/// The model of a group, as far as its cost goes.
struct ModelSize {
  LlamaConfig decoder;
  int64_t parameters = 0;               ///< vision tower included
  std::optional<c10::ScalarType> held;  ///< see held_dtype
};

/// Tokens that may follow a sample's prompt in any of the phases; `settings`: the sample's own.
int64_t new_tokens(const EvaluationSettings& settings, const SampleSize& sample);

/// Weights, and what is held at the moment when most is: in the prefill one prompt's cache and
/// activations, later its cache with what the cells hold of their own (new tokens, and what merging
/// changes, before and after new tokens) and logits; the cells of a sample as one batch unless the
/// settings say one by one. A lower bound: what strategies and metrics compute is not in it.
GroupEstimate estimate(const CellGroup& group, const EvaluationSettings& settings,
                       const ModelSize& model, std::span<const SampleSize> samples);

/// In how many batches the cells of a sample run where so many bytes are available.
int64_t batches_of(const CellGroup& group, const EvaluationSettings& settings,
                   const ModelSize& model, std::span<const SampleSize> samples, int64_t available);

/// What to change so that a group fits of which not even one cell does, or the least that it would
/// need. A sentence without its beginning: "fits with --dtype bf16 (about 1.20 GiB)".
std::string what_would_fit(const CellGroup& group, EvaluationSettings settings,
                           const ModelSize& model, std::span<const SampleSize> samples,
                           int64_t available);

}  // namespace elastikv
