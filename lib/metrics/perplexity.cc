#include "metrics/perplexity.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace elastikv {

SampleNll sum_nll(std::span<const float> token_nll, ScoredTokens scored,
                  std::optional<int64_t> bytes) {
  if (scored == ScoredTokens::kAllButLast && !token_nll.empty())
    token_nll = token_nll.first(token_nll.size() - 1);
  SampleNll sample{
      .nll = 0, .tokens = static_cast<int64_t>(token_nll.size()), .bytes = bytes, .cluster = {}};
  for (const float nll : token_nll) sample.nll += static_cast<double>(nll);
  return sample;
}

void Perplexity::add(const SampleNll& sample) {
  ELASTIKV_ASSERT(sample.tokens >= 0 && sample.bytes.value_or(0) >= 0, "{} tokens, {} bytes",
                  sample.tokens, sample.bytes.value_or(0));
  if (!std::isfinite(sample.nll)) {
    ++failed_samples_;
    return;
  }
  if (sample.tokens == 0) return;
  nll_.push_back(sample.nll);
  tokens_.push_back(static_cast<double>(sample.tokens));
  clusters_.push_back(sample.cluster);
  all_bytes_known_ = all_bytes_known_ && sample.bytes.has_value();
  bytes_ += sample.bytes.value_or(0);
}

PerplexitySummary Perplexity::summarize(const Bootstrap& bootstrap) const {
  PerplexitySummary summary;
  summary.samples = static_cast<int64_t>(nll_.size());
  summary.failed_samples = failed_samples_;
  double nll = 0;
  double macro = 0;
  for (size_t i = 0; i < nll_.size(); ++i) {
    nll += nll_[i];
    macro += std::exp(nll_[i] / tokens_[i]);
    summary.tokens += static_cast<int64_t>(tokens_[i]);
  }
  if (summary.failed() || summary.samples == 0) return summary;

  const Clusters clusters(clusters_);
  const LogPerplexityEstimate estimate = estimate_log_perplexity(nll_, tokens_, clusters);
  summary.nll_per_token = estimate.log_perplexity;
  summary.ppl = std::exp(estimate.log_perplexity);
  summary.ppl_sample_mean = macro / static_cast<double>(summary.samples);
  summary.bits_per_token = estimate.log_perplexity / std::numbers::ln2;
  if (all_bytes_known_ && bytes_ > 0)
    summary.bits_per_byte = nll / (static_cast<double>(bytes_) * std::numbers::ln2);
  summary.ppl_delta = estimate.perplexity_interval();
  summary.ppl_bootstrap = bootstrap.perplexity_interval(nll_, tokens_, clusters);
  return summary;
}

}  // namespace elastikv
