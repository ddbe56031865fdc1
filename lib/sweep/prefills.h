#pragma once

#include <cstdint>
#include <vector>

#include "runtime/compress_at.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"
#include "sweep/cell.h"

namespace elastikv {

/// A sample's prompt up to where it is compressed at one moment.
struct Prefill {
  CompressAt at = CompressAt::kPromptEnd;
  EncodedPrompt prompt;
  std::vector<int64_t> late;  ///< ids of the tokens behind it
  /// The number of the shared context that `prompt` is a fork of; 0: it is none.
  int64_t context = 0;
};

/// One prefill for each moment at which caches of the sample are compressed; where any is
/// compressed at the prompt's end, that one is the first. Sequences refer to them: they stay where
/// they are when this is moved.
class Prefills {
 public:
  explicit Prefills(std::vector<Prefill> prefills);

  const EncodedPrompt& first() const { return prefills_.front().prompt; }
  const EncodedPrompt& of(const Cell& cell) const { return at(cell).prompt; }
  /// The number of the context that the cell's prompt shares with other samples'; 0: none.
  int64_t context(const Cell& cell) const { return at(cell).context; }
  /// What comes after the cell's compression.
  LateTokens late(const Cell& cell) const;
  /// Of the earliest compression.
  int64_t most_late() const;
  /// Of all prefills together.
  SharedSeconds seconds() const;

 private:
  const Prefill& at(const Cell& cell) const;

  std::vector<Prefill> prefills_;
};

}  // namespace elastikv
