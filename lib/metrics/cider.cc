// "cider-d" over all samples, as pycocoevalcap computes it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "metrics/caption_corpus.h"
#include "metrics/caption_words.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

// R. Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation", 2015: clipped counts
// and a penalty on lengths make it CIDEr-D.
constexpr double kSigma = 6;
constexpr double kScale = 10;

/// A caption's n-grams weighed by how often they stand there and in how few samples' references.
struct Weighed {
  std::array<NgramNumbers<double>, kCaptionOrders> weights;
  std::array<double, kCaptionOrders> norms{};
  double length = 0;  // in pairs of words
};

Weighed weigh(const CountedCaption& caption, const CaptionCorpus& corpus) {
  const double log_samples = std::log(static_cast<double>(corpus.references().size()));
  Weighed weighed;
  for (size_t n = 0; n < kCaptionOrders; ++n) {
    double squares = 0;
    for (const auto& [ngram, count] : caption.counts[n]) {
      const auto found = corpus.samples_with()[n].find(ngram);
      const double samples = found == corpus.samples_with()[n].end() ? 1 : found->second;
      const double weight = count * (log_samples - std::log(samples));
      weighed.weights[n].emplace_back(ngram, weight);
      squares += weight * weight;
      if (n == 1) weighed.length += count;
    }
    weighed.norms[n] = std::sqrt(squares);
  }
  return weighed;
}

/// The mean cosine over n, with the text's weights clipped at the reference's.
double similarity(const Weighed& text, const Weighed& reference) {
  double sum = 0;
  for (size_t n = 0; n < kCaptionOrders; ++n) {
    double product = 0;
    for (const auto& [ngram, weight] : text.weights[n]) {
      const double other = number_of(reference.weights[n], ngram);
      product += std::min(weight, other) * other;
    }
    if (text.norms[n] != 0 && reference.norms[n] != 0)
      product /= text.norms[n] * reference.norms[n];
    sum += product;
  }
  const double difference = text.length - reference.length;
  return sum / kCaptionOrders * std::exp(-difference * difference / (2 * kSigma * kSigma));
}

/// Each sample's own, with the weights that all samples' references give.
void corpus_cider(std::span<const Answered> texts, std::span<double> values) {
  CaptionCorpus& corpus = caption_corpus(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    const Weighed text = weigh(corpus.read(texts[i].text), corpus);
    const std::vector<CountedCaption>& references = corpus.references()[i];
    double sum = 0;
    for (const CountedCaption& reference : references)
      sum += similarity(text, weigh(reference, corpus));
    values[i] = kScale * sum / static_cast<double>(references.size());
  }
}

}  // namespace

TextFamily cider() {
  return family_of(
      {{.name = "cider-d",
        .label = "Captions",
        .mean = "CIDEr-D",
        .definition = fmt::format("type:cider-d|n:4|sigma:6|df:references|tok:{}", kCaptionWords),
        .lacking = "",
        .score = nullptr,
        .right_or_wrong = false,
        .over_samples = corpus_cider,
        .bounds = {0, kScale}}});
}

}  // namespace elastikv
