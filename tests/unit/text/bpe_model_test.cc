#include "text/bpe_model.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/expect_error.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<int64_t>;

Ids encode(const BpeModel& model, std::string_view piece) {
  Ids ids;
  model.encode(piece, ids);
  return ids;
}

/// Random merges over few letters: many of them overlap, repeat a result by another way or have
/// ranks against the order of their lengths.
struct RandomModel {
  std::map<std::string, int64_t> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;

  explicit RandomModel(std::mt19937& draw, int letters, size_t merge_count) {
    std::vector<std::string> tokens;
    for (int i = 0; i < letters; ++i) tokens.emplace_back(1, static_cast<char>('a' + i));
    for (const std::string& token : tokens) vocabulary.emplace(token, vocabulary.size());
    while (merges.size() < merge_count) {
      const std::string& left = tokens[draw() % tokens.size()];
      const std::string& right = tokens[draw() % tokens.size()];
      const auto pair = std::make_pair(left, right);
      if (std::find(merges.begin(), merges.end(), pair) != merges.end()) continue;
      const std::string joined = left + right;
      if (vocabulary.emplace(joined, vocabulary.size()).second) tokens.push_back(joined);
      merges.push_back(pair);
    }
    std::shuffle(merges.begin(), merges.end(), draw);
  }

  Json json() const { return {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}; }

  /// One merge at a time over the whole word: lowest rank first, leftmost of equals.
  Ids brute_force(const std::string& word) const {
    std::vector<std::string> parts;
    for (const char letter : word) parts.emplace_back(1, letter);
    while (true) {
      size_t best_rank = merges.size();
      size_t best_place = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto found =
            std::find(merges.begin(), merges.end(), std::make_pair(parts[i], parts[i + 1]));
        const auto rank = static_cast<size_t>(found - merges.begin());
        if (rank < best_rank) {
          best_rank = rank;
          best_place = i;
        }
      }
      if (best_rank == merges.size()) break;
      parts[best_place] += parts[best_place + 1];
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(best_place) + 1);
    }
    Ids ids;
    for (const std::string& part : parts) ids.push_back(vocabulary.at(part));
    return ids;
  }
};

TEST(BpeModel, AgreesWithBruteForce) {
  std::mt19937 draw(11);
  for (int round = 0; round < 60; ++round) {
    const int letters = 2 + round % 4;
    const RandomModel random(draw, letters, /*merge_count=*/4 + draw() % 40);
    const BpeModel model(random.json(), "f.json");
    for (int i = 0; i < 40; ++i) {
      // Beyond 64 bytes the cache is out of play.
      std::string word(1 + draw() % 90, 'a');
      for (char& letter : word) letter = static_cast<char>('a' + draw() % letters);
      ASSERT_EQ(encode(model, word), random.brute_force(word)) << word << random.json();
    }
  }
}

TEST(BpeModel, LongWordIsMergedWhole) {
  // a+a=2 letters, 2+2=4, ... 1024: 100,000 letters are 97 tokens of 1024 and 672 = 512+128+32.
  Json vocabulary{{"a", 0}};
  Json merges = Json::array();
  std::string token = "a";
  for (int i = 1; i <= 10; ++i) {
    merges.push_back({token, token});
    token += token;
    vocabulary[token] = i;
  }
  const BpeModel model({{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}, "f.json");
  Ids expected(97, 10);
  expected.insert(expected.end(), {9, 7, 5});
  EXPECT_EQ(encode(model, std::string(100000, 'a')), expected);

  // A word that no merge touches stays as it is.
  const BpeModel letters({{"vocab", {{"a", 0}, {"b", 1}}}, {"merges", Json::array()}}, "f.json");
  EXPECT_EQ(encode(letters, std::string(100000, 'b')), Ids(100000, 1));
}

TEST(BpeModel, LongRandomWordAgreesWithItsShortCopies) {
  // Letters 'z' take part in no merge, so the parts between them must come out as on their own.
  std::mt19937 draw(5);
  RandomModel random(draw, /*letters=*/4, /*merge_count=*/40);
  random.vocabulary.emplace("z", random.vocabulary.size());
  const BpeModel model(random.json(), "f.json");
  std::string word;
  Ids expected;
  while (word.size() < 100000) {
    std::string part(1 + draw() % 50, 'a');
    for (char& letter : part) letter = static_cast<char>('a' + draw() % 4);
    const Ids ids = encode(model, part + "z");
    expected.insert(expected.end(), ids.begin(), ids.end());
    word += part + "z";
  }
  EXPECT_EQ(encode(model, word), expected);
}

TEST(BpeModel, MergesMayBeStringsOrPairs) {
  const Json vocabulary{{"a", 0}, {"b", 1}, {"ab", 2}, {"abb", 3}};
  const BpeModel strings({{"vocab", vocabulary}, {"merges", {"#version: 0.2", "a b", "ab b"}}},
                         "f.json");
  const BpeModel pairs({{"vocab", vocabulary}, {"merges", Json::array({{"a", "b"}, {"ab", "b"}})}},
                       "f.json");
  EXPECT_EQ(encode(strings, "abbab"), (Ids{3, 2}));
  EXPECT_EQ(encode(pairs, "abbab"), (Ids{3, 2}));
}

TEST(BpeModel, UnknownCharacters) {
  Json model{{"vocab", {{"a", 0}, {"?", 1}}}, {"merges", Json::array()}};
  EXPECT_EQ(encode(BpeModel(model, "f.json"), "xaxx"), (Ids{0}));
  model["unk_token"] = "?";
  EXPECT_EQ(encode(BpeModel(model, "f.json"), "xaxx"), (Ids{1, 0, 1, 1}));
  model["fuse_unk"] = true;
  EXPECT_EQ(encode(BpeModel(model, "f.json"), "xaxx"), (Ids{1, 0, 1}));
  // Byte fallback needs every byte of the character.
  model["byte_fallback"] = true;
  model["vocab"]["<0xC3>"] = 2;
  model["vocab"]["<0xA9>"] = 3;
  EXPECT_EQ(encode(BpeModel(model, "f.json"), "aéè"), (Ids{0, 2, 3, 1}));
}

TEST(BpeModel, MalformedEntriesAreNamed) {
  const auto load = [](const char* text) { BpeModel(Json::parse(text), "f.json"); };
  EXPECT_ERROR(load(R"({"type": "Unigram", "vocab": [], "unk_id": 0})"),
               "f.json: key 'model.type' is 'Unigram', which is not supported; supported: BPE");
  EXPECT_ERROR(load(R"({"type": "WordPiece", "vocab": {}})"),
               "f.json: key 'model.type' is 'WordPiece', which is not supported; supported: BPE");
  EXPECT_ERROR(load(R"({"type": "BPE", "merges": []})"),
               "f.json: key 'model.vocab' is missing (an object of token: id is needed)");
  EXPECT_ERROR(load(R"({"type": "BPE", "vocab": {}})"),
               "f.json: key 'model.merges' is missing (a list of pairs of tokens is needed)");
  EXPECT_ERROR(load(R"({"vocab": {"a": 0, "b": -1}, "merges": []})"),
               "f.json: token 'b' of model.vocab has the id -1, an integer from 0 to 16777215 is "
               "needed");
  EXPECT_ERROR(load(R"({"vocab": {"a": 99999999999}, "merges": []})"),
               "f.json: token 'a' of model.vocab has the id 99999999999, an integer from 0 to "
               "16777215 is needed");
  EXPECT_ERROR(load(R"({"vocab": {"a": 1.5}, "merges": []})"),
               "f.json: token 'a' of model.vocab has the id 1.5, an integer from 0 to 16777215 is "
               "needed");
  EXPECT_ERROR(load(R"({"vocab": {"a": 0, "b": 0}, "merges": []})"),
               "f.json: tokens 'a' and 'b' of model.vocab have the same id 0");
  EXPECT_ERROR(load(R"({"vocab": {"a": 0, "b": 1}, "merges": ["a b"]})"),
               "f.json: entry 0 of model.merges names 'ab', which is not in the vocabulary");
  EXPECT_ERROR(load(R"({"vocab": {"a": 0, "b": 1}, "merges": [["a", "c"]]})"),
               "f.json: entry 0 of model.merges names 'c', which is not in the vocabulary");
  EXPECT_ERROR(load(R"({"vocab": {"a": 0}, "merges": ["a b c"]})"),
               "f.json: entry 0 of model.merges is \"a b c\"; \"a b\" or [\"a\", \"b\"] is needed");
  EXPECT_ERROR(load(R"({"vocab": {"a": 0}, "merges": [["a"]]})"),
               "f.json: entry 0 of model.merges is [\"a\"]; \"a b\" or [\"a\", \"b\"] is needed");
  EXPECT_ERROR(load(R"({"vocab": {"a": 0}, "merges": [], "unk_token": "?"})"),
               "f.json: key 'model.unk_token' is '?', which is not in the vocabulary");
  EXPECT_ERROR(load(R"({"vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"})"),
               "f.json: key 'model.end_of_word_suffix' is '</w>'; only null is supported");
  EXPECT_ERROR(load(R"({"vocab": {"a": 0}, "merges": [], "dropout": 0.1})"),
               "f.json: key 'model.dropout' is 0.1; only null is supported");
}

}  // namespace
}  // namespace elastikv
