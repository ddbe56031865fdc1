#include <cmath>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/xlogy.h>
#include <fmt/format.h>

#include "strategies/allocation.h"
#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// Layers whose attention is spread wide and moves get more (CAKE, arXiv 2503.12491): in proportion
/// to H^(1/tau1) V^(1/tau2). Over the attention of the last `rows` queries to the entries before
/// them, H is the entropy of the mean row and V the sum over entries of the variance between rows,
/// both averaged over heads.
class PreferenceAllocation final : public ProportionalAllocation {
 public:
  PreferenceAllocation(int64_t rows, double tau1, double tau2)
      : rows_(rows), tau1_(tau1), tau2_(tau2) {}

  StatisticsRequest needs() const override { return {.prefill = {.last_rows = rows_}}; }
  std::string description() const override {
    return fmt::format("preference(rows={},tau1={},tau2={})", rows_, tau1_, tau2_);
  }

 private:
  std::vector<double> wishes(const PromptStatistics& prompt, int64_t /*total*/) const override {
    std::vector<double> wishes;
    wishes.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      const at::Tensor rows = last_rows(layer, rows_);
      const int64_t before = prompt.prompt_tokens - rows.size(1);
      // A prompt within the window, or one row, shows nothing to prefer a layer by.
      if (before <= 0 || rows.size(1) < 2) {
        wishes.push_back(1.0);
        continue;
      }
      const at::Tensor seen = rows.narrow(2, 0, before);
      const at::Tensor mean = seen.mean(1);
      const double entropy = -at::xlogy(mean, mean).sum(-1).mean().item<double>();
      const double variance = seen.var(1, /*unbiased=*/true).sum(-1).mean().item<double>();
      wishes.push_back(std::pow(entropy, 1.0 / tau1_) * std::pow(variance, 1.0 / tau2_));
    }
    return wishes;
  }

  int64_t rows_;
  double tau1_;
  double tau2_;
};

}  // namespace

std::shared_ptr<const Allocation> make_preference_allocation(const Parameters& parameters) {
  parameters.require_known({"rows", "tau1", "tau2"});
  constexpr double kLeast = 1e-2;
  constexpr double kMost = 1e3;
  return std::make_shared<PreferenceAllocation>(
      parameters.integer("rows", /*otherwise=*/32, /*least=*/1),
      parameters.number("tau1", /*otherwise=*/1.6, kLeast, kMost),
      parameters.number("tau2", /*otherwise=*/0.4, kLeast, kMost));
}

}  // namespace elastikv
