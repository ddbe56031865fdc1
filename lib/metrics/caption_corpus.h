#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "metrics/question.h"
#include "metrics/words.h"

namespace elastikv {

/// The longest n-grams that BLEU and CIDEr-D count.
constexpr size_t kCaptionOrders = 4;

/// Numbers by n-grams' ids, in the order in which the n-grams stand in a text: sums over them must
/// not depend on what the ids are.
template <typename Number>
using NgramNumbers = std::vector<std::pair<int32_t, Number>>;

/// 0 for an n-gram that has none.
template <typename Number>
Number number_of(const NgramNumbers<Number>& numbers, int32_t ngram) {
  for (const auto& [known, number] : numbers) {
    if (known == ngram) return number;
  }
  return 0;
}

/// A caption as counted n-grams.
struct CountedCaption {
  size_t words = 0;
  /// How often each n-gram of n words stands in it: n = 1 first.
  std::array<NgramNumbers<int32_t>, kCaptionOrders> counts;
};

/// Captions of many samples, whose equal n-grams have equal ids. Not for several threads at once.
class CaptionCorpus final {
 public:
  /// The references of samples, each of which has at least one.
  explicit CaptionCorpus(std::span<const Answered> texts);

  /// Whether these are the references of the same samples.
  bool is_of(std::span<const Answered> texts) const;
  /// [samples][references]
  const std::vector<std::vector<CountedCaption>>& references() const { return references_; }
  /// Of how many samples an n-gram stands in some reference; n = 1 first.
  const std::array<std::unordered_map<int32_t, int32_t>, kCaptionOrders>& samples_with() const {
    return samples_with_;
  }
  CountedCaption read(std::string_view text);

 private:
  std::vector<std::vector<std::string>> texts_;
  WordIds words_;
  std::array<NgramIds, kCaptionOrders> ngrams_{NgramIds(1), NgramIds(2), NgramIds(3), NgramIds(4)};
  std::vector<std::vector<CountedCaption>> references_;
  std::array<std::unordered_map<int32_t, int32_t>, kCaptionOrders> samples_with_;
};

/// The references of the samples, counted; those of the last ones are kept, as the cells of a table
/// have the same.
CaptionCorpus& caption_corpus(std::span<const Answered> texts);

}  // namespace elastikv
