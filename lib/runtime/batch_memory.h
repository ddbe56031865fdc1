#pragma once

#include <cstdint>

#include <c10/core/Device.h>

#include "models/language_model.h"
#include "runtime/sequence.h"

namespace elastikv {

/// Plans how many sequences run as one batch, from what each will hold and what its tokens take on
/// their way through the model, against the memory that is left. Sizes are known, so that the
/// device, whose answer costs more than a cell of a small model, is asked only now and then.
class BatchMemory {
 public:
  /// `new_tokens`: for which each sequence reserves room; `scored_tokens`: that each runs at once
  /// where that is possible, 0: none.
  BatchMemory(const LanguageModel& model, c10::Device device, int64_t new_tokens,
              int64_t scored_tokens);

  /// Counts a compressed sequence. False: there is no memory for it beside those before.
  bool add(const Sequence& sequence);

 private:
  const LanguageModel& model_;
  c10::Device device_;
  int64_t new_tokens_;
  int64_t scored_tokens_;
  int64_t rows_ = 0;
  int64_t held_ = 0;   // bytes that the sequences so far will hold beyond what they do
  int64_t taken_ = 0;  // and that they hold already
  bool unrotated_ = false;
  int64_t room_ = 0;    // what the device had left when it was asked, and what was taken by then
  int64_t ask_at_ = 0;  // held and taken bytes from which it is asked again
};

}  // namespace elastikv
