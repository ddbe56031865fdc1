#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "datasets/draws.h"

namespace elastikv {

// Words of our own, in the place of the lists of a Python package that RULER draws from.

/// An adjective and a noun: "quiet-mill".
std::string draw_compound(Draws& draws);
/// So many different words: single ones as long as there are enough of them, else compounds too.
/// Error for more than there are.
std::vector<std::string> draw_words(size_t count, Draws& draws);

}  // namespace elastikv
