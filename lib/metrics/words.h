#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace elastikv {

/// Numbers words, so that texts are compared as numbers: equal words of either text have equal ids.
class WordIds {
 public:
  int32_t operator()(std::string_view word) {
    return ids_.try_emplace(std::string(word), static_cast<int32_t>(ids_.size())).first->second;
  }
  /// How many distinct words were numbered; ids are 0 to size() - 1.
  int32_t size() const { return static_cast<int32_t>(ids_.size()); }

 private:
  std::unordered_map<std::string, int32_t> ids_;
};

/// A text as numbered words with the ends of its sentences: sentence s is words[ends[s-1],
/// ends[s]).
struct WordText {
  std::vector<int32_t> words;
  std::vector<size_t> ends;

  size_t sentences() const { return ends.size(); }
  std::span<const int32_t> sentence(size_t s) const {
    const size_t begin = s == 0 ? 0 : ends[s - 1];
    return std::span(words).subspan(begin, ends[s] - begin);
  }
};

/// Numbers n-grams: two texts given to one object get equal ids for equal n-grams.
class NgramIds {
 public:
  explicit NgramIds(int n) : levels_(static_cast<size_t>(n - 1)) {}

  /// Ids of the n-grams of `words` in order; empty when there are fewer than n words.
  std::vector<int32_t> operator()(std::span<const int32_t> words) {
    std::vector<int32_t> grams(words.begin(), words.end());
    // A k-gram is a pair of a (k-1)-gram and the word after it.
    for (size_t k = 1; k <= levels_.size(); ++k) {
      if (grams.size() < 2) return {};
      auto& ids = levels_[k - 1];
      for (size_t i = 0; i + 1 < grams.size(); ++i) {
        const uint64_t pair =
            static_cast<uint64_t>(grams[i]) << 32 | static_cast<uint32_t>(words[i + k]);
        grams[i] = ids.try_emplace(pair, static_cast<int32_t>(ids.size())).first->second;
      }
      grams.pop_back();
    }
    return grams;
  }

 private:
  std::vector<std::unordered_map<uint64_t, int32_t>> levels_;
};

}  // namespace elastikv
