#include "metrics/signature.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/revisions.h"
#include "base/version.h"

namespace elastikv {
namespace {

std::string_view scored_tokens(ScoredTokens scored) {
  switch (scored) {
    case ScoredTokens::kAll:
      return "last:scored";
    case ScoredTokens::kAllButLast:
      return "last:unscored";
    case ScoredTokens::kAllAndEnd:
      return "last:scored|end:scored";
  }
  throw InternalError("a choice of scored tokens without a name");
}

/// "|rev:2" where the part's results are not those of its first release.
std::string revision_text(std::string_view part) {
  const int64_t revision = revision_of(part);
  return revision == 1 ? "" : fmt::format("|rev:{}", revision);
}

}  // namespace

std::string metric_signature(std::string_view name, std::string_view definition,
                             std::string_view aggregation, const SignatureContext& context) {
  std::string resampling = "bs:0";
  if (context.bootstrap > 0) {
    resampling = fmt::format("ci:bootstrap-t|bs:{}|seed:{}", context.bootstrap, context.seed);
  }
  return fmt::format("{} {}{}|agg:{}|{}|impl:elastikv-{}|ref:{}", name, definition,
                     revision_text(fmt::format("metric/{}", name)), aggregation, resampling,
                     version(), context.reference);
}

std::string perplexity_signature(ScoredTokens scored, const SignatureContext& context) {
  return metric_signature("ppl", fmt::format("type:exp-nll|{}", scored_tokens(scored)), "tokens",
                          context);
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
