#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elastikv {

/// How likely a model finds an option of a multiple choice.
struct OptionLikelihood {
  char letter = 'A';
  double log_likelihood = 0;  ///< nats, summed over the tokens
  int64_t tokens = 0;
  // Of the text that the tokens are, by which likelihoods are normalised.
  int64_t bytes = 0;
  int64_t characters = 0;  ///< of Unicode, as Python counts them

  friend bool operator==(const OptionLikelihood&, const OptionLikelihood&) = default;
};

/// What a model gave for one sample in one cell: all that metrics look at.
struct ModelOutput {
  double nll_sum = 0;           // nats, over the scored tokens of the expected answer
  int64_t scored_tokens = 0;    // 0 when perplexity is off
  std::vector<float> nll = {};  // nats, [scored_tokens]

  /// Prompt tokens that were compressed where others came after that: then the answer's first token
  /// comes from the compressed cache, too. 0: all were, and its first token comes from what it was
  /// before.
  int64_t compressed_tokens = 0;

  std::vector<int64_t> token_ids = {};  // generated, without the end token
  std::string text = {};                // of token_ids, special tokens skipped

  /// Of a question that the likeliest of its options answers: all of them, A first. The text above
  /// is then that of the option with the highest log likelihood.
  std::vector<OptionLikelihood> options = {};

  /// Mean over the scored answer tokens behind the first of KL(full || cell) in nats, and the first
  /// with `compressed_tokens`; unset for the full cache itself, when agreement is off, and for an
  /// answer with one scored token whose distribution comes from the uncompressed prompt.
  std::optional<double> mean_kl = {};
};

}  // namespace elastikv
