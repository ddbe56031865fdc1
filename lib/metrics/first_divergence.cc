// The first token that differs from the full cache's text.
#include <utility>

#include "metrics/agreement.h"
#include "metrics/metric_makers.h"

namespace elastikv {

void make_first_divergence(const MetricChoice& choice, MetricSet& set) {
  if (!choice.agreement) return;
  MetricTraits traits = agreement_traits(
      "first_divergence", "First token that differs from the full cache's text (mean index)",
      "First token unlike the full cache's (index)");
  traits.bounds = {.low = 0};
  add_agreement_mean(std::move(traits), "type:common-prefix|unit:token", set);
}

}  // namespace elastikv
