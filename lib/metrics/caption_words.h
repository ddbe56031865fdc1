#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// The words of a caption, of which BLEU and CIDEr-D are made, in lower case: what pycocoevalcap
/// gets from Stanford's PTBTokenizer and a list of punctuation, for plain text. Words keep hyphens,
/// and numbers their points, commas and colons; "don't", "dog's" and "cannot" are two words;
/// . , ; : ? ! quotes and dashes are none, but "?!" is one; other signs are one each, brackets by
/// the names that the tokenizer gives them ("-lrb-"). It knows no abbreviations ("mr." is "mr" here
/// and "mr." there; letters with periods, "u.s.", alone keep these), faces or addresses. Broken
/// UTF-8 is replaced.
std::vector<std::string> caption_words(std::string_view text);

/// For signatures.
inline constexpr std::string_view kCaptionWords = "ptb-plain-1";

}  // namespace elastikv
