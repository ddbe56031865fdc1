#pragma once

#include <memory>
#include <string>
#include <vector>

#include "image/image_processor.h"
#include "models/image_prompt.h"
#include "sweep/cell.h"
#include "text/prompt_writer.h"
#include "text/tokenizer.h"

namespace elastikv {

/// What a checkpoint folder has beside its weights to read prompts, one by one: what is missing, or
/// wrong, keeps nothing else from being looked at.
struct CheckpointParts {
  explicit CheckpointParts(const ModelChoice& model);

  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<PromptWriter> writer;
  std::unique_ptr<ImagePrompt> image_prompt;        // null for a model without images, too
  std::unique_ptr<ImageProcessor> image_processor;  // likewise
  /// What is not there, with the reason.
  std::vector<std::string> missing;
};

}  // namespace elastikv
