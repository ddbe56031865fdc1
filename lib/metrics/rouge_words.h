#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// What a text's words are.
enum class RougeWords {
  /// Those of rouge_score 0.1.2: lower-cased runs of a-z and 0-9, everything else separates (so
  /// "café" is "caf" and text in other scripts vanishes).
  kGoogle,
  /// The same, words of more than three letters stemmed (its use_stemmer=True).
  kGoogleStem,
  /// Every letter, mark and digit of Unicode (general categories L, M and N) by itself, after NFC
  /// and lower-casing character by character.
  kCharacters,
  /// Runs of them, but a character of a script that is written without spaces (Han, kana, Thai,
  /// Lao,
  /// Khmer, Burmese) is a word by itself.
  kUnicode,
};

/// Where the sentences of rougeLsum end.
enum class RougeSentences {
  kLines,  // at line ends alone, as in rouge_score without split_summaries
  /// And behind a run of . ! ? … that white space or the text's end follows, and behind one with a
  /// 。 ！ or ？ whatever follows; closing quotes and brackets belong to the sentence before. There
  /// is no list of abbreviations: "Dr. No" is two sentences. (rouge_score's split_summaries asks
  /// nltk's trained punkt model, which depends on data that is not part of the package.)
  kMarks,
};

/// A text's words in order.
std::vector<std::string> rouge_words(std::string_view text, RougeWords words);
/// The words line by line; lines without any are left out.
std::vector<std::vector<std::string>> rouge_sentences(std::string_view text, RougeWords words,
                                                      RougeSentences sentences);

}  // namespace elastikv
