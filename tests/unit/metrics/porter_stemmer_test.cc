#include "metrics/porter_stemmer.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace elastikv {
namespace {

// Stems by nltk 3.10.4, PorterStemmer().stem(word). tests/golden/stemmer_words.tsv has thousands
// more.
TEST(PorterStemmer, FollowsNltkWhereItLeavesPorter) {
  const std::vector<std::pair<std::string, std::string>> expected{{"skies", "sky"},
                                                                  {"died", "die"},
                                                                  {"dying", "die"},
                                                                  {"news", "news"},
                                                                  {"innings", "inning"},
                                                                  {"enjoy", "enjoy"},
                                                                  {"spy", "spi"},
                                                                  {"try", "tri"},
                                                                  {"say", "say"},
                                                                  {"possibly", "possibl"},
                                                                  {"hopefully", "hope"},
                                                                  {"geology", "geolog"},
                                                                  {"using", "use"},
                                                                  {"owed", "owe"},
                                                                  {"running", "run"},
                                                                  {"images", "imag"},
                                                                  {"description", "descript"},
                                                                  {"people", "peopl"},
                                                                  {"organization", "organ"},
                                                                  {"agreed", "agre"},
                                                                  {"happy", "happi"},
                                                                  {"exceed", "exceed"},
                                                                  {"eying", "eye"}};
  for (const auto& [word, stem] : expected) EXPECT_EQ(porter_stem(word), stem) << word;
}

TEST(PorterStemmer, ShortAndOddWords) {
  EXPECT_EQ(porter_stem(""), "");
  EXPECT_EQ(porter_stem("s"), "s");
  EXPECT_EQ(porter_stem("is"), "is");
  EXPECT_EQ(porter_stem("ing"), "ing");
  EXPECT_EQ(porter_stem("eed"), "eed");
  EXPECT_EQ(porter_stem("ion"), "ion");
  EXPECT_EQ(porter_stem("1990s"), "1990");
  EXPECT_EQ(porter_stem("yyyyed"), "yyyi");
}

}  // namespace
}  // namespace elastikv
