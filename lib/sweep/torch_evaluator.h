#pragma once

#include <memory>

#include "sweep/engine.h"

namespace elastikv {

/// Loads a LibTorch model and runs samples on it, see Engines::open.
std::unique_ptr<SampleEvaluator> open_torch_evaluator(const ModelChoice& model,
                                                      const EvaluationSettings& settings,
                                                      RunWatch watch,
                                                      const EngineOptions& options = {});

}  // namespace elastikv
