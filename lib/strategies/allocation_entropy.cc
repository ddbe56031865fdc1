#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ops/xlogy.h>
#include <fmt/format.h>

#include "base/error.h"
#include "strategies/allocation.h"
#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// Layers whose attention is spread wide get more (MEDA, arXiv 2502.17599): in proportion to
/// softmax(E_l / temperature), with E_l the mean entropy in nats of a layer's attention rows. `of:
/// text_to_image` takes the rows of the text after the image and the part of them that lies on
/// the image, the cross-modal block of the paper; `of: all` takes all rows whole, as its released
/// code does.
class EntropyAllocation final : public ProportionalAllocation {
 public:
  EntropyAllocation(bool cross_modal, double temperature)
      : cross_modal_(cross_modal), temperature_(temperature) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request;
    request.post_image_rows = cross_modal_;
    request.prefill.row_entropy = !cross_modal_;
    return request;
  }
  std::string description() const override {
    return fmt::format("entropy(of={},temperature={})", cross_modal_ ? "text_to_image" : "all",
                       temperature_);
  }

 private:
  std::vector<double> wishes(const PromptStatistics& prompt, int64_t /*total*/) const override {
    std::vector<double> wishes;
    wishes.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      wishes.push_back(entropy(prompt, layer) / temperature_);
    }
    const double highest = *std::max_element(wishes.begin(), wishes.end());
    for (double& wish : wishes) wish = std::exp(wish - highest);
    return wishes;
  }

  double entropy(const PromptStatistics& prompt, const LayerStatistics& layer) const {
    if (!cross_modal_) {
      ELASTIKV_ASSERT(layer.row_entropy.defined(), "row entropies are missing");
      return layer.row_entropy.mean().item<double>();
    }
    const at::Tensor block = image_block(prompt, layer);
    return -at::xlogy(block, block).sum(-1).mean().item<double>();
  }

  bool cross_modal_;
  double temperature_;
};

}  // namespace

std::shared_ptr<const Allocation> make_entropy_allocation(const Parameters& parameters) {
  parameters.require_known({"of", "temperature"});
  const std::string of = parameters.choice("of", "text_to_image", {"text_to_image", "all"});
  constexpr double kColdest = 1e-3;
  constexpr double kWarmest = 1e3;
  return std::make_shared<EntropyAllocation>(
      of == "text_to_image",
      parameters.number("temperature", /*otherwise=*/1.0, kColdest, kWarmest));
}

}  // namespace elastikv
