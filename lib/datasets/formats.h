#pragma once

#include <string>

#include "datasets/readers.h"

namespace elastikv {

/// Reads a data file by DataOptions::format, or as what it is recognised as, and returns the
/// format's name. `tokenizer`: for windows of tokens. Error when the format is unknown, is not the
/// one that the options name, or cannot be read with them.
std::string read_samples(const Reading& reading, const Tokenizer* tokenizer);

}  // namespace elastikv
