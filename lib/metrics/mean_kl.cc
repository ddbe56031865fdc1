// The divergence from the full cache's next-token distributions.
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "metrics/agreement.h"
#include "metrics/metric_makers.h"

namespace elastikv {
namespace {

class MeanKl final : public MeanMetric {
 public:
  MeanKl() : MeanMetric(kl_traits()) {}

  /// Over how many samples it is, where not over all.
  std::vector<std::string> notes(std::span<const MeasuredCell> cells) const override {
    for (const MeasuredCell& cell : cells) {
      const Measurement& measurement = cell.measurement;
      if (measurement.samples.empty()) continue;
      if (measurement.samples.size() == measurement.of) return {};
      return {fmt::format(
          "Over {} of {} samples: of the other answers no token but the first is scored, and that "
          "one's distribution comes from the uncompressed prompt.",
          measurement.samples.size(), measurement.of)};
    }
    return {};
  }

 private:
  static MetricTraits kl_traits() {
    MetricTraits traits = agreement_traits(
        "mean_kl", "KL divergence from the full cache's next-token distribution (nats per token)",
        "KL from the full cache (nats per token)");
    traits.short_title = traits.label;
    traits.bounds = {.low = 0};
    traits.log_from = 10;
    traits.higher_is_better = false;
    traits.in_pairs = true;
    return traits;
  }

  std::string signature_of(const SignatureContext& context) const override {
    return metric_signature("mean_kl", "type:kl-reference-candidate|unit:nat", "mean", context);
  }
  std::optional<double> value(const MeasuredSample& sample) const override {
    // Earlier records hold 0 where the one scored token left nothing to compare.
    const bool nothing = sample.output.scored_tokens < 2 && sample.output.compressed_tokens == 0;
    return nothing ? std::nullopt : sample.output.mean_kl;
  }
};

}  // namespace

void make_mean_kl(const MetricChoice& choice, MetricSet& set) {
  if (choice.agreement) set.add(std::make_shared<MeanKl>());
}

}  // namespace elastikv
