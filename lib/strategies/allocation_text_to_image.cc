#include <vector>

#include "strategies/allocation.h"
#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// In proportion to the attention that the text after the image pays to the image (TGV-KV,
/// arXiv 2606.03075), averaged over heads and rows.
class TextToImageAllocation final : public ProportionalAllocation {
 public:
  StatisticsRequest needs() const override { return {.post_image_rows = true}; }
  std::string description() const override { return "text_to_image"; }

 private:
  std::vector<double> wishes(const PromptStatistics& prompt, int64_t /*total*/) const override {
    std::vector<double> wishes;
    wishes.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      wishes.push_back(image_block(prompt, layer).sum(-1).mean().item<double>());
    }
    return wishes;
  }
};

}  // namespace

std::shared_ptr<const Allocation> make_text_to_image_allocation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<TextToImageAllocation>();
}

}  // namespace elastikv
