#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// The words of an answer as SQuAD's evaluation reads them: lower case, without ASCII's punctuation
/// and without a, an and the. Text is valid UTF-8.
std::vector<std::string> answer_words(std::string_view text);
/// The characters of an answer as InfiniteBench reads Chinese: lower case, without white space and
/// without the punctuation of ASCII and of Chinese.
std::vector<std::string> answer_characters(std::string_view text);

/// Harmonic mean of the shares of two bags of words that are in the other one, 0 for none.
double bag_f1(std::vector<std::string> said, std::vector<std::string> expected);

}  // namespace elastikv
