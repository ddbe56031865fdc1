#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace elastikv {

/// Turns ids into text while they are generated. Everything it gives out, put together, is
/// Tokenizer::decode of all ids. The tokenizer must outlive it.
class StreamingDecoder final {
 public:
  StreamingDecoder(const Tokenizer& tokenizer, bool skip_special);

  /// The text that is complete now and was not before: valid UTF-8, empty while a character is
  /// still in parts.
  std::string push(int64_t id);
  /// The rest, with U+FFFD for what never became a character; afterwards a new text begins.
  std::string flush();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::unique_ptr<DecoderRun> run_;
};

}  // namespace elastikv
