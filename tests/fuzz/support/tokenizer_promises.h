#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace elastikv::fuzz {

/// Encodes a text and decodes what comes out: ids are below vocab_size(), and the text is UTF-8.
/// Error is allowed, as a file may bring a regular expression that gives up on a text.
void round_trip(const Tokenizer& tokenizer, std::string_view text);

/// round_trip of a few texts that have something of everything, and a decoding of ids that may not
/// be there.
void use(const Tokenizer& tokenizer);

}  // namespace elastikv::fuzz
