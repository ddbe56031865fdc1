#pragma once

#include <memory>
#include <string>

#include "base/json_fields.h"

namespace elastikv {

/// The first step of encoding: rewrites the text between added tokens.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Valid UTF-8 to valid UTF-8.
  virtual std::string normalize(std::string text) const = 0;
};

/// Builds the "normalizer" of a tokenizer.json: Sequence, NFC, NFD, NFKC, NFKD, Lowercase,
/// StripAccents, Prepend, Replace, Strip. Error naming the key for any other type.
std::unique_ptr<Normalizer> make_normalizer(const JsonFields& fields);

}  // namespace elastikv
