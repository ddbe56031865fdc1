#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/sample.h"
#include "runtime/generation.h"
#include "runtime/sequence.h"
#include "sweep/torch_model.h"

namespace elastikv {

/// A sequence that is to write the text to a sample.
struct TextToWrite {
  Sequence* sequence = nullptr;
  const Sample* sample = nullptr;
  int64_t most = 0;  ///< tokens
};

/// What it wrote; `text` ends where a stop text of its sample begins, the tokens behind it.
struct WrittenText : GreedyText {
  std::string text;
};

/// Greedy texts of all of them as one batch. Throws Interrupted.
std::vector<WrittenText> write_texts(const TorchModel& model,
                                     const std::vector<TextToWrite>& texts);

}  // namespace elastikv
