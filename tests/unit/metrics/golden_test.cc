// Thousands of values that the Python packages gave: tests/golden/make_rouge_golden.py.
#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "metrics/porter_stemmer.h"
#include "metrics/rouge_google.h"
#include "metrics/rouge_pltrdy.h"
#include "support/paths.h"

namespace elastikv {
namespace {

constexpr double kTolerance = 1e-9;

std::ifstream golden(const std::string& name) {
  std::ifstream file(source_path("tests/golden/") + name);
  EXPECT_TRUE(file.is_open()) << name;
  return file;
}

/// `expected` is [[precision, recall, F], ...].
void expect_scores(const std::vector<TextScore>& scores, const nlohmann::json& expected) {
  ASSERT_EQ(scores.size(), expected.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    EXPECT_NEAR(scores[i].precision, expected[i][0].get<double>(), kTolerance) << "value " << i;
    EXPECT_NEAR(scores[i].recall, expected[i][1].get<double>(), kTolerance) << "value " << i;
    EXPECT_NEAR(scores[i].f, expected[i][2].get<double>(), kTolerance) << "value " << i;
  }
}

std::vector<TextScore> google(const std::string& reference, const std::string& candidate,
                              RougeWords words) {
  const GoogleRouge rouge(reference, candidate, words);
  return {rouge.rouge_n(1), rouge.rouge_n(2), rouge.rouge_n(3), rouge.rouge_l(),
          rouge.rouge_lsum()};
}

TEST(GoldenRouge, EveryPair) {
  std::ifstream file = golden("rouge_pairs.jsonl");
  std::vector<std::string> references;
  int undefined = 0;
  int multi = 0;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json pair = nlohmann::json::parse(line);
    const auto& reference = references.emplace_back(pair["ref"].get<std::string>());
    const auto candidate = pair["hyp"].get<std::string>();
    SCOPED_TRACE("line " + std::to_string(references.size()));
    expect_scores(google(reference, candidate, RougeWords::kGoogle), pair["google"]);
    expect_scores(google(reference, candidate, RougeWords::kGoogleStem), pair["stem"]);
    const PltrdyRouge pltrdy(reference, candidate);
    const bool is_defined = !pair["pltrdy"].is_null();
    EXPECT_EQ(pltrdy.rouge_l().defined, is_defined);
    if (is_defined) {
      expect_scores({pltrdy.rouge_n(1), pltrdy.rouge_n(2), pltrdy.rouge_n(3), pltrdy.rouge_l()},
                    pair["pltrdy"]);
    } else {
      ++undefined;
    }
    if (pair.contains("multi")) {
      ++multi;
      // rouge_score's score_multi: the score with the greatest F, the first of equals.
      std::vector<TextScore> best = google(references.back(), candidate, RougeWords::kGoogle);
      for (size_t back = 2; back <= 3; ++back) {
        const std::vector<TextScore> other =
            google(references[references.size() - back], candidate, RougeWords::kGoogle);
        for (size_t i = 0; i < best.size(); ++i) {
          if (other[i].f > best[i].f) best[i] = other[i];
        }
      }
      expect_scores(best, pair["multi"]);
    }
    if (HasFailure()) break;  // one pair's values are enough to read
  }
  EXPECT_EQ(references.size(), 2000U);
  EXPECT_EQ(undefined, 11);
  EXPECT_EQ(multi, 100);
}

// rouge_score with another Tokenizer: tests/golden/make_rouge_scripts_golden.py.
TEST(GoldenRouge, OtherWordsAndSentences) {
  std::ifstream file = golden("rouge_scripts.jsonl");
  int pairs = 0;
  int sentences_matter = 0;
  for (std::string line; std::getline(file, line); ++pairs) {
    const nlohmann::json pair = nlohmann::json::parse(line);
    const auto reference = pair["ref"].get<std::string>();
    const auto candidate = pair["hyp"].get<std::string>();
    SCOPED_TRACE("line " + std::to_string(pairs + 1));
    for (const auto& [name, words] : {std::pair("characters", RougeWords::kCharacters),
                                      std::pair("unicode", RougeWords::kUnicode)}) {
      const GoogleRouge rouge(reference, candidate, words);
      expect_scores({rouge.rouge_n(1), rouge.rouge_n(2), rouge.rouge_l(), rouge.rouge_lsum()},
                    pair[name]);
    }
    for (const auto& [name, words] : {std::pair("google-marks", RougeWords::kGoogle),
                                      std::pair("unicode-marks", RougeWords::kUnicode)}) {
      const GoogleRouge rouge(reference, candidate, words, RougeSentences::kMarks);
      expect_scores({rouge.rouge_lsum()}, pair[name]);
      const GoogleRouge lines(reference, candidate, words);
      sentences_matter += rouge.rouge_lsum().f != lines.rouge_lsum().f ? 1 : 0;
    }
    if (HasFailure()) break;
  }
  EXPECT_EQ(pairs, 600);
  EXPECT_GT(sentences_matter, 100);
}

TEST(GoldenStemmer, EveryWord) {
  std::ifstream file = golden("stemmer_words.tsv");
  int words = 0;
  for (std::string line; std::getline(file, line); ++words) {
    const size_t tab = line.find('\t');
    EXPECT_EQ(porter_stem(line.substr(0, tab)), line.substr(tab + 1)) << line;
  }
  EXPECT_EQ(words, 6948);
}

}  // namespace
}  // namespace elastikv
