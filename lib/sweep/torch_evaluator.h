#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "sweep/engine.h"

namespace elastikv {

/// Tokens that may follow a prompt in any of the phases.
int64_t room_needed(const EvaluationSettings& settings, size_t answer_tokens);

/// Loads a LibTorch model and runs samples on it, see Engines::open.
std::unique_ptr<SampleEvaluator> open_torch_evaluator(const ModelChoice& model,
                                                      const EvaluationSettings& settings,
                                                      std::function<bool()> should_stop);

}  // namespace elastikv
