#pragma once

#include <cstdint>
#include <vector>

#include "base/json_fields.h"

namespace elastikv {

/// The tokens that a tokenizer puts around a text (a BOS in front, for example).
struct SpecialIds {
  std::vector<int64_t> prefix;
  std::vector<int64_t> suffix;
};

/// Reads the "post_processor" of a tokenizer.json: TemplateProcessing (its form for a single text),
/// ByteLevel (adds nothing), Sequence. Error naming the key for any other type.
SpecialIds read_post_processor(const JsonFields& fields);

}  // namespace elastikv
