#pragma once

#include <string>
#include <string_view>

namespace elastikv {

/// The stem of a word of lower-case ASCII letters and digits (digits count as consonants), by M.
/// Porter, "An algorithm for suffix stripping" (Program 14(3), 1980), in the variant that NLTK's
/// PorterStemmer uses by default (NLTK_EXTENSIONS): a list of irregular forms, words of one or two
/// letters untouched, "ies"/"ied" kept as "ie" in four-letter words, y -> i only after a consonant,
/// and the rules alli, bli, fulli and logi. rouge_score with use_stemmer=True calls it for words of
/// more than three letters.
std::string porter_stem(std::string_view word);

}  // namespace elastikv
