#pragma once

#include <cstdint>
#include <string_view>

#include "metrics/text_score.h"
#include "metrics/words.h"

namespace elastikv {

/// What a pair with a text of nothing (or nothing but full stops) gets. The Python package raises
/// ValueError there; a model that answers nothing must not end a sweep, nor be left out of a mean.
enum class EmptyText {
  kZero,   ///< scores 0 and is marked as not defined
  kError,  ///< Error, as the package does
};

/// ROUGE between one reference and one candidate (UTF-8) as the Python package rouge 1.0.1 (pltrdy)
/// computes it with its defaults (exclusive=True). Elastic Cache's evaluation and those after it
/// use its rouge-l; it is not Google's:
/// sentences end at every ".", words are what whitespace separates with case and punctuation kept,
/// n-grams and words are sets, and F = 2PR / (P + R + 1e-8), so equal texts score 0.999999995.
/// A piece of white space between full stops is a sentence of one empty word, as in the package.
class PltrdyRouge final {
 public:
  /// Error for an empty text (the candidate's is told first) when `empty` is kError.
  PltrdyRouge(std::string_view reference, std::string_view candidate,
              EmptyText empty = EmptyText::kZero);

  /// Overlap of the sets of n-grams, n from 1 to 5; n-grams run across sentence ends.
  TextScore rouge_n(int n) const;
  /// Summary level: the distinct words in the union of the longest common subsequences of all pairs
  /// of sentences, over the distinct words of each text.
  TextScore rouge_l() const;

 private:
  bool defined() const { return reference_.sentences() > 0 && candidate_.sentences() > 0; }

  WordText reference_;
  WordText candidate_;
};

}  // namespace elastikv
