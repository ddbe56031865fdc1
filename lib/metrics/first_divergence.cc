// The first token that differs from the full cache's text.
#include "metrics/agreement.h"
#include "metrics/metric_makers.h"

namespace elastikv {

void make_first_divergence(const MetricChoice& choice, MetricSet& set) {
  if (!choice.agreement) return;
  add_agreement_mean("first_divergence",
                     "First token that differs from the full cache's text (mean index)",
                     "type:common-prefix|unit:token", {.low = 0}, set);
}

}  // namespace elastikv
