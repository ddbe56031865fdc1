#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace elastikv {

/// How far one generated sequence of token ids agrees with the one to compare with (as a rule the
/// full cache's own output).
struct Agreement {
  /// Length of the common prefix: the index of the first token that differs, or the shorter length
  /// when one sequence begins with the other.
  int64_t first_divergence = 0;
  /// Positions that hold the same token in both, over the longer sequence's length: tokens beyond
  /// the shorter one's end are mismatches, so stopping early or late costs. Nothing is realigned
  /// after an insertion. 1 for two empty sequences.
  double match_rate = 0;
  bool identical = false;
  int64_t matching_tokens = 0;
  int64_t reference_tokens = 0;
  int64_t candidate_tokens = 0;
};
Agreement compare_tokens(std::span<const int64_t> reference, std::span<const int64_t> candidate);

/// Agreement over samples. Values are absent without samples.
struct AgreementSummary {
  std::optional<double> first_divergence;  ///< mean over samples, tokens
  std::optional<double> match_rate;        ///< mean over samples
  /// All matching tokens over the sum of the longer lengths; absent when all sequences are empty.
  std::optional<double> match_rate_tokens;
  std::optional<double> identical;  ///< share of samples whose sequences are equal
  /// Mean over the samples that have one of KL(reference || candidate), nats per token; absent
  /// without any and when one is not finite.
  std::optional<double> mean_kl;
  int64_t samples = 0;
  int64_t kl_samples = 0;
};

class AgreementTotal final {
 public:
  /// `mean_kl`: the sample's mean over tokens of KL(reference || candidate) between the two
  /// next-token distributions given the same prefix, in nats.
  void add(const Agreement& sample, std::optional<double> mean_kl = std::nullopt);
  AgreementSummary summarize() const;

 private:
  double first_divergence_ = 0;
  double match_rate_ = 0;
  int64_t matching_tokens_ = 0;
  int64_t longer_tokens_ = 0;
  int64_t identical_ = 0;
  double kl_ = 0;
  int64_t samples_ = 0;
  int64_t kl_samples_ = 0;
};

}  // namespace elastikv
