#include <vector>

#include "strategies/allocation.h"
#include "strategies/components.h"

namespace elastikv {
namespace {

/// Every layer holds the same number of slots.
class UniformAllocation final : public ProportionalAllocation {
 public:
  std::string description() const override { return "uniform"; }

 private:
  std::vector<double> wishes(const PromptStatistics& prompt, int64_t /*total*/) const override {
    return std::vector<double>(prompt.layers.size(), 1.0);
  }
};

}  // namespace

std::shared_ptr<const Allocation> make_uniform_allocation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<UniformAllocation>();
}

}  // namespace elastikv
