#include "metrics/signature.h"

#include <fmt/format.h>

#include "base/version.h"

namespace elastikv {
namespace {

std::string_view last_token(ScoredTokens scored) {
  return scored == ScoredTokens::kAll ? "scored" : "unscored";
}

}  // namespace

std::string metric_signature(std::string_view name, std::string_view definition,
                             std::string_view aggregation, const SignatureContext& context) {
  std::string resampling = "bs:0";
  if (context.bootstrap > 0)
    resampling = fmt::format("bs:{}|seed:{}", context.bootstrap, context.seed);
  return fmt::format("{} {}|agg:{}|{}|impl:elastikv-{}|ref:{}", name, definition, aggregation,
                     resampling, version(), context.reference);
}

std::string perplexity_signature(ScoredTokens scored, const SignatureContext& context) {
  return metric_signature("ppl", fmt::format("type:exp-nll|last:{}", last_token(scored)), "tokens",
                          context);
}

std::string perplexity_sample_mean_signature(ScoredTokens scored, const SignatureContext& context) {
  return metric_signature("ppl_sample_mean",
                          fmt::format("type:exp-nll|last:{}", last_token(scored)), "mean", context);
}

std::string first_divergence_signature(const SignatureContext& context) {
  return metric_signature("first_divergence", "type:common-prefix|unit:token", "mean", context);
}

std::string match_rate_signature(const SignatureContext& context) {
  return metric_signature("match_rate", "type:same-position|over:longer|unit:token", "mean",
                          context);
}

std::string mean_kl_signature(const SignatureContext& context) {
  return metric_signature("mean_kl", "type:kl-reference-candidate|unit:nat", "mean", context);
}

}  // namespace elastikv
