#include "metrics/caption_corpus.h"

#include <memory>
#include <set>

#include "metrics/caption_words.h"

namespace elastikv {

CaptionCorpus::CaptionCorpus(std::span<const Answered> texts) {
  for (const Answered& answered : texts) {
    texts_.push_back(answered.question.references);
    std::vector<CountedCaption>& captions = references_.emplace_back();
    for (const std::string& reference : texts_.back()) captions.push_back(read(reference));
    for (size_t n = 0; n < kCaptionOrders; ++n) {
      std::set<int32_t> of_sample;
      for (const CountedCaption& caption : captions) {
        for (const auto& [ngram, count] : caption.counts[n]) of_sample.insert(ngram);
      }
      for (const int32_t ngram : of_sample) ++samples_with_[n][ngram];
    }
  }
}

bool CaptionCorpus::is_of(std::span<const Answered> texts) const {
  if (texts.size() != texts_.size()) return false;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].question.references != texts_[i]) return false;
  }
  return true;
}

CountedCaption CaptionCorpus::read(std::string_view text) {
  std::vector<int32_t> words;
  for (const std::string& word : caption_words(text)) words.push_back(words_(word));
  CountedCaption caption;
  caption.words = words.size();
  for (size_t n = 0; n < kCaptionOrders; ++n) {
    std::unordered_map<int32_t, size_t> places;
    for (const int32_t ngram : ngrams_[n](words)) {
      NgramNumbers<int32_t>& counts = caption.counts[n];
      const auto [place, is_new] = places.try_emplace(ngram, counts.size());
      if (is_new) counts.emplace_back(ngram, 0);
      ++counts[place->second].second;
    }
  }
  return caption;
}

CaptionCorpus& caption_corpus(std::span<const Answered> texts) {
  thread_local std::unique_ptr<CaptionCorpus> last;
  if (last == nullptr || !last->is_of(texts)) last = std::make_unique<CaptionCorpus>(texts);
  return *last;
}

}  // namespace elastikv
