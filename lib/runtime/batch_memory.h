#pragma once

#include <cstdint>

#include <c10/core/Device.h>

#include "models/language_model.h"
#include "runtime/sequence.h"

namespace elastikv {

/// What follows a prompt, one phase after the other. Where there are two, the first one runs
/// restarts of the sequences, the last one the sequences themselves.
struct BatchPhases {
  int64_t scored_tokens = 0;     ///< run at once where that is possible; 0: none are scored
  int64_t generated_tokens = 0;  ///< at most; 0: none are generated
  int64_t late_tokens = 0;       ///< at most, in each phase before all others (LateTokens)
};

/// Plans how many sequences run as one batch, from what each will hold and what its tokens take on
/// their way through the model, against the memory that is left. Sizes are known, so that the
/// device, whose answer costs more than a cell of a small model, is asked only now and then.
class BatchMemory {
 public:
  BatchMemory(const LanguageModel& model, c10::Device device, const BatchPhases& phases);

  /// Counts a compressed sequence. False: there is no memory for it beside those before.
  bool add(const Sequence& sequence);

 private:
  const LanguageModel& model_;
  c10::Device device_;
  BatchPhases phases_;
  int64_t rows_ = 0;
  int64_t scoring_ = 0;     // bytes that scoring the sequences so far will hold beyond what they do
  int64_t generating_ = 0;  // and generation
  int64_t taken_ = 0;       // and that they hold already
  bool unrotated_ = false;
  int64_t room_ = 0;    // what the device had left when it was asked, and what was taken by then
  int64_t ask_at_ = 0;  // held and taken bytes from which it is asked again
};

}  // namespace elastikv
