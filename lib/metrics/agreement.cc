#include "metrics/agreement.h"

#include <algorithm>
#include <cmath>

namespace elastikv {

Agreement compare_tokens(std::span<const int64_t> reference, std::span<const int64_t> candidate) {
  const size_t shorter = std::min(reference.size(), candidate.size());
  const size_t longer = std::max(reference.size(), candidate.size());
  Agreement result;
  result.reference_tokens = static_cast<int64_t>(reference.size());
  result.candidate_tokens = static_cast<int64_t>(candidate.size());
  const auto end = reference.begin() + static_cast<std::ptrdiff_t>(shorter);
  result.first_divergence =
      std::mismatch(reference.begin(), end, candidate.begin()).first - reference.begin();
  for (size_t i = 0; i < shorter; ++i)
    result.matching_tokens += reference[i] == candidate[i] ? 1 : 0;
  result.identical = result.matching_tokens == static_cast<int64_t>(longer);
  result.match_rate =
      longer == 0 ? 1 : static_cast<double>(result.matching_tokens) / static_cast<double>(longer);
  return result;
}

void AgreementTotal::add(const Agreement& sample, std::optional<double> mean_kl) {
  ++samples_;
  first_divergence_ += static_cast<double>(sample.first_divergence);
  match_rate_ += sample.match_rate;
  matching_tokens_ += sample.matching_tokens;
  longer_tokens_ += std::max(sample.reference_tokens, sample.candidate_tokens);
  identical_ += sample.identical ? 1 : 0;
  if (mean_kl) {
    ++kl_samples_;
    kl_ += *mean_kl;
  }
}

AgreementSummary AgreementTotal::summarize() const {
  AgreementSummary summary;
  summary.samples = samples_;
  summary.kl_samples = kl_samples_;
  if (samples_ == 0) return summary;
  const auto n = static_cast<double>(samples_);
  summary.first_divergence = first_divergence_ / n;
  summary.match_rate = match_rate_ / n;
  if (longer_tokens_ > 0) {
    summary.match_rate_tokens =
        static_cast<double>(matching_tokens_) / static_cast<double>(longer_tokens_);
  }
  summary.identical = static_cast<double>(identical_) / n;
  if (kl_samples_ > 0 && std::isfinite(kl_))
    summary.mean_kl = kl_ / static_cast<double>(kl_samples_);
  return summary;
}

}  // namespace elastikv
