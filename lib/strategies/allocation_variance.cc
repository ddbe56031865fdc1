#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "strategies/allocation.h"
#include "strategies/components.h"

namespace elastikv {
namespace {

/// Layers whose attention is even get more (D2O, arXiv 2406.13035): in proportion to
/// softmax(-v_l), with v_l the variance over entries of the layer's head-mean column sums, divided
/// by the mean of all layers' variances.
class VarianceAllocation final : public ProportionalAllocation {
 public:
  StatisticsRequest needs() const override { return {.prefill = {.column_sums = true}}; }
  std::string description() const override { return "variance"; }

 private:
  std::vector<double> wishes(const PromptStatistics& prompt, int64_t /*total*/) const override {
    std::vector<double> variances;
    variances.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      ELASTIKV_ASSERT(layer.column_sums.defined(), "column sums are missing");
      variances.push_back(layer.column_sums.mean(0).var(/*unbiased=*/false).item<double>());
    }
    const double mean = std::accumulate(variances.begin(), variances.end(), 0.0) /
                        static_cast<double>(variances.size());
    for (double& variance : variances) variance = mean > 0 ? std::exp(-variance / mean) : 1.0;
    return variances;
  }
};

}  // namespace

std::shared_ptr<const Allocation> make_variance_allocation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<VarianceAllocation>();
}

}  // namespace elastikv
