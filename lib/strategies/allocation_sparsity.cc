#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <fmt/format.h>

#include "strategies/allocation.h"
#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// Layers whose attention is dense get more (VL-Cache, arXiv 2410.23317): in proportion to 1 - s_l,
/// with s_l the share of the entries that the rows of the text after the image could see, but
/// give less than `threshold` of their row's largest weight, averaged over heads.
class SparsityAllocation final : public ProportionalAllocation {
 public:
  explicit SparsityAllocation(double threshold) : threshold_(threshold) {}

  StatisticsRequest needs() const override { return {.post_image_rows = true}; }
  std::string description() const override {
    return fmt::format("sparsity(threshold={})", threshold_);
  }

 private:
  std::vector<double> wishes(const PromptStatistics& prompt, int64_t /*total*/) const override {
    std::vector<double> wishes;
    wishes.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      const at::Tensor rows = post_image_rows(prompt, layer);
      // Entries to the right of the diagonal are 0 and never dense.
      const double dense =
          rows.ge(rows.amax(-1, /*keepdim=*/true) * threshold_).sum().item<double>();
      const double visible = static_cast<double>(rows.size(0)) *
                             at::arange(prompt.image_end + 1, prompt.prompt_tokens + 1, at::kDouble)
                                 .sum()
                                 .item<double>();
      wishes.push_back(dense / visible);
    }
    return wishes;
  }

  double threshold_;
};

}  // namespace

std::shared_ptr<const Allocation> make_sparsity_allocation(const Parameters& parameters) {
  parameters.require_known({"threshold"});
  constexpr double kLeast = 1e-9;
  return std::make_shared<SparsityAllocation>(
      parameters.number("threshold", /*otherwise=*/0.01, kLeast, 1.0));
}

}  // namespace elastikv
