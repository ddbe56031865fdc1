#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json_fields.h"

namespace elastikv {

/// A part of the text on its way to the model.
struct TextPiece {
  std::string text;
  /// Nothing of the input lies before it.
  bool at_start = false;
};

/// The step that cuts normalized text into pieces across which no merge reaches.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Cuts (and may respell) every piece; no piece comes out empty.
  virtual std::vector<TextPiece> split(std::vector<TextPiece> pieces) const = 0;
};

/// Builds the "pre_tokenizer" of a tokenizer.json: Sequence, ByteLevel, Split, Digits, Metaspace,
/// Punctuation, Whitespace, WhitespaceSplit. Error naming the key for any other type.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonFields& fields);

}  // namespace elastikv
