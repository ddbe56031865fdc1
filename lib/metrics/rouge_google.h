#pragma once

#include <cstdint>
#include <string_view>

#include "metrics/rouge_words.h"
#include "metrics/text_score.h"
#include "metrics/words.h"

namespace elastikv {

/// ROUGE between one reference and one candidate (UTF-8) as Google's Python package rouge_score
/// 0.1.2 computes it, to the last bit, with its own words or others (as the package with another
/// Tokenizer). Texts are read once, whatever is asked for afterwards. A pair in which a text has no
/// words, or no n-grams, scores 0, a text against itself too; such a score is marked as not
/// defined. Definitions: C.-Y. Lin, "ROUGE: A package for automatic evaluation of summaries", 2004.
class GoogleRouge final {
 public:
  GoogleRouge(std::string_view reference, std::string_view candidate, RougeWords words,
              RougeSentences sentences = RougeSentences::kLines);

  /// Overlap of the multisets of n-grams, n from 1 to 9; n-grams run across line ends.
  TextScore rouge_n(int n) const;
  /// Longest common subsequence of all words; line ends mean nothing.
  TextScore rouge_l() const;
  /// Summary level: for every sentence of the reference the union of its longest common
  /// subsequences with each sentence of the candidate, no word counted more often than either text
  /// has it.
  TextScore rouge_lsum() const;

 private:
  WordText reference_;
  WordText candidate_;
  int32_t distinct_words_ = 0;
};

/// The name of a metric of rouge_score with other words ("words": the package's own, "characters",
/// "unicode") and sentences ("lines", "marks"): "rougeL" becomes "rougeL-characters". Empty for a
/// name that has no such form (of another package, or with a choice of its own).
std::string rouge_variant(std::string_view name, std::string_view words,
                          std::string_view sentences);

}  // namespace elastikv
