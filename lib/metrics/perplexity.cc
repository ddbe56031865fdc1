#include "metrics/perplexity.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace elastikv {

void Perplexity::add(const SampleNll& sample) {
  ELASTIKV_ASSERT(sample.tokens >= 0, "{} tokens", sample.tokens);
  if (!std::isfinite(sample.nll)) {
    ++failed_samples_;
    return;
  }
  if (sample.tokens == 0) return;
  nll_.push_back(sample.nll);
  tokens_.push_back(static_cast<double>(sample.tokens));
  clusters_.push_back(sample.cluster);
}

PerplexitySummary Perplexity::summarize(const Bootstrap& bootstrap) const {
  PerplexitySummary summary;
  summary.samples = static_cast<int64_t>(nll_.size());
  summary.failed_samples = failed_samples_;
  double macro = 0;
  for (size_t i = 0; i < nll_.size(); ++i) {
    macro += std::exp(nll_[i] / tokens_[i]);
    summary.tokens += static_cast<int64_t>(tokens_[i]);
  }
  if (summary.failed() || summary.samples == 0) return summary;

  const Clusters clusters(clusters_);
  const double log = log_perplexity(nll_, tokens_, clusters);
  summary.nll_per_token = log;
  summary.ppl = std::exp(log);
  summary.ppl_sample_mean = macro / static_cast<double>(summary.samples);
  summary.bits_per_token = log / std::numbers::ln2;
  summary.ppl_bootstrap = bootstrap.perplexity_interval(nll_, tokens_, clusters);
  return summary;
}

}  // namespace elastikv
