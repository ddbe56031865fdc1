// The share of tokens that are the full cache's at their place.
#include "metrics/agreement.h"
#include "metrics/metric_makers.h"

namespace elastikv {

void make_match_rate(const MetricChoice& choice, MetricSet& set) {
  if (!choice.agreement) return;
  add_agreement_mean("match_rate", "Share of tokens equal to the full cache's at their place",
                     "type:same-position|over:longer|unit:token", {0, 1}, set);
}

}  // namespace elastikv
