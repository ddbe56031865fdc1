#include <algorithm>
#include <vector>

#include "strategies/components.h"

namespace elastikv {
namespace {

/// Every layer holds the same number of slots.
class UniformAllocation final : public Allocation {
 public:
  std::vector<int64_t> slots_per_layer(const PromptStatistics& prompt, int64_t slots,
                                       int64_t tokens) const override {
    return std::vector<int64_t>(prompt.layers.size(), std::min(slots, tokens));
  }
  std::string description() const override { return "uniform"; }
};

}  // namespace

std::shared_ptr<const Allocation> make_uniform_allocation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<UniformAllocation>();
}

}  // namespace elastikv
