#include <algorithm>
#include <functional>
#include <vector>

#include "base/error.h"
#include "strategies/allocation.h"
#include "strategies/components.h"

namespace elastikv {
namespace {

/// Every layer keeps the same share of its accumulated attention (PrefixKV, arXiv 2412.03409): with
/// a layer's head-mean column sums sorted from the largest and added up, the one share p for which
/// the entries needed to reach it, over all layers, fill the budget. PrefixKV finds p beforehand
/// from calibration samples; here it is found for each prompt by halving.
class CumulativeMassAllocation final : public ProportionalAllocation {
 public:
  StatisticsRequest needs() const override { return {.prefill = {.column_sums = true}}; }
  std::string description() const override { return "cumulative_mass"; }

 private:
  std::vector<double> wishes(const PromptStatistics& prompt, int64_t total) const override {
    std::vector<std::vector<double>> masses;  // per layer, the share that the first n entries hold
    masses.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) masses.push_back(cumulated(layer));
    double low = 0.0;
    double high = 1.0;
    std::vector<double> wishes(masses.size());
    constexpr int kHalvings = 50;
    for (int i = 0; i < kHalvings; ++i) {
      const double share = 0.5 * (low + high);
      double needed = 0;
      for (size_t layer = 0; layer < masses.size(); ++layer) {
        wishes[layer] = entries_for(masses[layer], share);
        needed += wishes[layer];
      }
      (needed < static_cast<double>(total) ? low : high) = share;
    }
    return wishes;
  }

  static std::vector<double> cumulated(const LayerStatistics& layer) {
    ELASTIKV_ASSERT(layer.column_sums.defined(), "column sums are missing");
    const at::Tensor sums = layer.column_sums.mean(0).contiguous();
    const float* sum = sums.const_data_ptr<float>();
    std::vector<double> masses(sum, sum + sums.numel());
    std::sort(masses.begin(), masses.end(), std::greater<>());
    double mass = 0;
    for (double& entry : masses) entry = mass += entry;
    for (double& entry : masses) entry /= std::max(mass, 1e-30);
    return masses;
  }

  /// How many of the largest entries hold `share`, with the fraction of the last one.
  static double entries_for(const std::vector<double>& masses, double share) {
    const auto reached = std::lower_bound(masses.begin(), masses.end(), share);
    if (reached == masses.end()) return static_cast<double>(masses.size());
    const double before = reached == masses.begin() ? 0.0 : *(reached - 1);
    const double own = std::max(*reached - before, 1e-30);
    return static_cast<double>(reached - masses.begin()) + (share - before) / own;
  }
};

}  // namespace

std::shared_ptr<const Allocation> make_cumulative_mass_allocation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<CumulativeMassAllocation>();
}

}  // namespace elastikv
