// "bleu-1" to "bleu-4" over all samples, as pycocoevalcap computes them.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "metrics/caption_corpus.h"
#include "metrics/caption_words.h"
#include "metrics/linearised.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

// What pycocoevalcap adds, so that nothing divides by 0 and no n-gram of none is not 0.
constexpr double kSmall = 1e-9;
constexpr double kTiny = 1e-15;

/// What BLEU is made of: sums over samples.
struct Counts {
  double words = 0;
  double reference_words = 0;                    // of the reference whose length is nearest
  std::array<double, kCaptionOrders> guesses{};  // n-grams of the text, n = 1 first
  std::array<double, kCaptionOrders> matches{};  // of these, in a reference

  void add(const Counts& other) {
    words += other.words;
    reference_words += other.reference_words;
    for (size_t n = 0; n < kCaptionOrders; ++n) {
      guesses[n] += other.guesses[n];
      matches[n] += other.matches[n];
    }
  }
};

Counts counts_of(const CountedCaption& text, const std::vector<CountedCaption>& references) {
  Counts counts;
  counts.words = static_cast<double>(text.words);
  const auto distance = [&](const CountedCaption& reference) {
    return std::abs(static_cast<double>(reference.words) - counts.words);
  };
  const auto nearest = std::min_element(
      references.begin(), references.end(), [&](const CountedCaption& a, const CountedCaption& b) {
        return distance(a) != distance(b) ? distance(a) < distance(b) : a.words < b.words;
      });
  counts.reference_words = static_cast<double>(nearest->words);
  for (size_t n = 0; n < kCaptionOrders; ++n) {
    if (text.words > n) counts.guesses[n] = static_cast<double>(text.words - n);
    for (const auto& [ngram, count] : text.counts[n]) {
      int32_t most = 0;
      for (const CountedCaption& reference : references)
        most = std::max(most, number_of(reference.counts[n], ngram));
      counts.matches[n] += std::min(count, most);
    }
  }
  return counts;
}

/// The reference's length over the text's where the text is too short, else 0.
double shortness(const Counts& counts) {
  const double ratio = (counts.words + kTiny) / (counts.reference_words + kSmall);
  return ratio < 1 ? 1 / ratio : 0;
}

/// K. Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002.
double bleu_of(const Counts& counts, size_t orders) {
  double product = 1;
  for (size_t n = 0; n < orders; ++n)
    product *= (counts.matches[n] + kTiny) / (counts.guesses[n] + kSmall);
  double bleu = std::pow(product, 1 / static_cast<double>(orders));
  if (const double penalty = shortness(counts); penalty > 0) bleu *= std::exp(1 - penalty);
  return bleu;
}

/// The gradient of BLEU's logarithm at `total`, times what a sample adds.
double share_of(const Counts& counts, const Counts& total, size_t orders) {
  double share = 0;
  for (size_t n = 0; n < orders; ++n) {
    share += counts.matches[n] / (total.matches[n] + kTiny);
    share -= counts.guesses[n] / (total.guesses[n] + kSmall);
  }
  share /= static_cast<double>(orders);
  if (const double penalty = shortness(total); penalty > 0) {
    share -= counts.reference_words / (total.words + kTiny);
    share += counts.words * penalty / (total.words + kTiny);
  }
  return share;
}

std::optional<double> sentence_bleu(std::string_view text, const Question& question,
                                    size_t orders) {
  const Answered answered{text, question};
  CaptionCorpus corpus({&answered, 1});
  return bleu_of(counts_of(corpus.read(text), corpus.references().front()), orders);
}

void corpus_bleu(std::span<const Answered> texts, std::span<double> values, size_t orders) {
  CaptionCorpus& corpus = caption_corpus(texts);
  std::vector<Counts> counts;
  Counts total;
  for (size_t i = 0; i < texts.size(); ++i) {
    counts.push_back(counts_of(corpus.read(texts[i].text), corpus.references()[i]));
    total.add(counts.back());
  }
  const double bleu = bleu_of(total, orders);
  for (size_t i = 0; i < texts.size(); ++i) values[i] = bleu * share_of(counts[i], total, orders);
  linearise(bleu, values);
}

AnswerRule bleu_rule(size_t orders) {
  return {
      .name = fmt::format("bleu-{}", orders),
      .label = "Captions",
      .mean = fmt::format("BLEU-{}", orders),
      .definition =
          fmt::format("type:bleu|n:{}|tok:{}|length:closest|smooth:tiny", orders, kCaptionWords),
      .lacking = "",
      .score = [orders](std::string_view text,
                        const Question& question) { return sentence_bleu(text, question, orders); },
      .right_or_wrong = false,
      .over_samples = [orders](std::span<const Answered> texts,
                               std::span<double> values) { corpus_bleu(texts, values, orders); }};
}

}  // namespace

TextFamily bleu() {
  std::vector<AnswerRule> rules;
  for (size_t orders = 1; orders <= kCaptionOrders; ++orders) rules.push_back(bleu_rule(orders));
  return family_of(std::move(rules));
}

}  // namespace elastikv
