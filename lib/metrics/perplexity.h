#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "metrics/intervals.h"

namespace elastikv {

/// Which of an answer's tokens count. Elastic Cache's released evaluation never scores the last
/// one, so an answer of one token adds nothing there.
enum class ScoredTokens {
  kAll,
  kAllButLast,
  kAllAndEnd,  // and the token that ends the model's turn, which is appended to the answer
};

/// One sample's negative log likelihood: the sum over its scored tokens in nats.
struct SampleNll {
  double nll = 0;
  int64_t tokens = 0;
  /// What the sample shares with others that are resampled with it; empty: nothing (Clusters).
  std::string cluster = {};
};

/// Perplexity over samples. Values are absent when no token was scored, and all of them when any
/// sample's NLL was not finite: such a cell has failed, and leaving the sample out would flatter
/// it.
struct PerplexitySummary {
  std::optional<double> ppl;              ///< micro: exp(sum of NLL / sum of tokens)
  std::optional<double> ppl_sample_mean;  ///< macro: mean over samples of exp(NLL / tokens)
  std::optional<double> nll_per_token;    ///< nats; the logarithm of ppl
  std::optional<double> bits_per_token;   ///< NLL / (tokens * ln 2)
  std::optional<Interval> ppl_bootstrap;  ///< 95 % of ppl by bootstrap; needs two clusters
  int64_t tokens = 0;                     ///< scored tokens
  int64_t samples = 0;                    ///< samples with at least one scored token
  int64_t failed_samples = 0;             ///< samples whose NLL was not finite

  bool failed() const { return failed_samples > 0; }
};

/// Gathers samples, then summarizes:
///   Perplexity perplexity;
///   for (...) perplexity.add({.nll = nll, .tokens = tokens});
///   const PerplexitySummary summary = perplexity.summarize(Bootstrap());
class Perplexity final {
 public:
  void add(const SampleNll& sample);
  PerplexitySummary summarize(const Bootstrap& bootstrap) const;

 private:
  std::vector<double> nll_;
  std::vector<double> tokens_;
  std::vector<std::string> clusters_;
  int64_t failed_samples_ = 0;
};

}  // namespace elastikv
