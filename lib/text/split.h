#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fields.h"
#include "text/regex.h"

namespace elastikv {

/// What becomes of the matches of a pattern when a text is cut at them, with the names of Hugging
/// Face's tokenizers.
enum class SplitBehavior {
  kRemoved,             ///< a-b -> a, b
  kIsolated,            ///< a-b -> a, -, b
  kMergedWithPrevious,  ///< a-b -> a-, b
  kMergedWithNext,      ///< a-b -> a, -b
  kContiguous,          ///< as isolated, but neighbouring matches stay together
};

/// Reads a key such as "behavior"; Error naming the key for an unknown value.
SplitBehavior read_split_behavior(const JsonFields& fields, std::string_view key);

/// A stretch of a text that a pattern matched, or that lies between two matches.
struct Stretch {
  ByteSpan span;
  bool is_match = false;
};

/// The text as alternating stretches: matches and what lies between them.
std::vector<Stretch> stretches_of(std::string_view text, const Regex& pattern);
/// The same for a class of characters; each character is a match of its own.
std::vector<Stretch> stretches_of(std::string_view text,
                                  const std::function<bool(char32_t)>& is_match);

/// The parts of a text that is cut into stretches, never empty, in order.
std::vector<ByteSpan> split(const std::vector<Stretch>& stretches, SplitBehavior behavior);

}  // namespace elastikv
