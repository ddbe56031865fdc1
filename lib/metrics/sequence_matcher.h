#pragma once

#include <string>

namespace elastikv {

/// difflib.SequenceMatcher(None, a, b).ratio() of Python 3 (J. Ratcliff and J. Metzener, "Pattern
/// Matching: The Gestalt Approach", 1988): twice the characters in matching blocks over those of
/// both texts, 1 for two empty ones. As there, of a text of 200 characters or more those that are
/// frequent in it begin no block.
double sequence_ratio(const std::u32string& a, const std::u32string& b);

}  // namespace elastikv
