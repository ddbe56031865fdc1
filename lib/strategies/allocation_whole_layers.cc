#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/allocation.h"
#include "strategies/components.h"

namespace elastikv {
namespace {

/// The `first` and `last` layers keep the whole prompt, and the others share what is left as `base`
/// says: several methods leave out layers in which their scores say little (key norms, arXiv
/// 2406.11430; D2O, arXiv 2406.13035). They count against the budget here, so that totals stay
/// comparable; where they would take more than half of it, half of it is what they get.
class WholeLayersAllocation final : public Allocation {
 public:
  WholeLayersAllocation(int64_t first, int64_t last, std::shared_ptr<const Allocation> base)
      : first_(first), last_(last), base_(std::move(base)) {}

  StatisticsRequest needs() const override { return base_->needs(); }

  std::vector<int64_t> slots_per_layer(const PromptStatistics& prompt,
                                       int64_t total) const override {
    const auto layers = static_cast<int64_t>(prompt.layers.size());
    const int64_t first = std::min(first_, layers - 1);
    const int64_t whole = first + std::min(last_, layers - 1 - first);
    if (whole == 0) return base_->slots_per_layer(prompt, total);
    PromptStatistics others = prompt;
    others.layers.assign(prompt.layers.begin() + first,
                         prompt.layers.begin() + layers - (whole - first));
    const int64_t tokens = prompt.prompt_tokens;
    const int64_t rest = layers - whole;
    int64_t taken = std::clamp(total / 2, whole, whole * tokens);
    // The others can hold no more than everything, and need at least a slot each.
    taken = std::clamp(taken, total - rest * tokens, total - rest);
    std::vector<int64_t> slots =
        apportion(std::vector<double>(static_cast<size_t>(whole), 1.0), taken, 1, tokens);
    const std::vector<int64_t> between = base_->slots_per_layer(others, total - taken);
    slots.insert(slots.begin() + first, between.begin(), between.end());
    return slots;
  }

  std::string description() const override {
    return fmt::format("whole_layers(first={},last={},base={})", first_, last_,
                       base_->description());
  }

 private:
  int64_t first_;
  int64_t last_;
  std::shared_ptr<const Allocation> base_;
};

}  // namespace

std::shared_ptr<const Allocation> make_whole_layers_allocation(const Parameters& parameters) {
  parameters.require_known({"first", "last", "base"});
  return std::make_shared<WholeLayersAllocation>(
      parameters.integer("first", /*otherwise=*/2, /*least=*/0),
      parameters.integer("last", /*otherwise=*/0, /*least=*/0),
      make_allocation(parameters.child("base")));
}

}  // namespace elastikv
