// The share of tokens that are the full cache's at their place.
#include <utility>

#include "metrics/agreement.h"
#include "metrics/metric_makers.h"

namespace elastikv {

void make_match_rate(const MetricChoice& choice, MetricSet& set) {
  if (!choice.agreement) return;
  MetricTraits traits =
      agreement_traits("match_rate", "Share of tokens equal to the full cache's at their place",
                       "Tokens equal to the full cache's (share)");
  traits.bounds = {0, 1};
  add_agreement_mean(std::move(traits), "type:same-position|over:longer|unit:token", set);
}

}  // namespace elastikv
