#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "strategies/allocation.h"
#include "strategies/components.h"

namespace elastikv {
namespace {

/// Slots that fall linearly with depth (PyramidKV, arXiv 2406.02069). With C slots per layer on
/// average and a window of w that every layer keeps, the last layer gets (C - w) / beta beside it,
/// the first 2 (C - w) less that, at most the T - w entries there are. A budget within the window
/// is shared evenly.
class PyramidAllocation final : public ProportionalAllocation {
 public:
  PyramidAllocation(double beta, int64_t window) : beta_(beta), window_(window) {}

  std::string description() const override {
    return fmt::format("pyramid(beta={},window={})", beta_, window_);
  }

 private:
  std::vector<double> wishes(const PromptStatistics& prompt, int64_t total) const override {
    const auto layers = static_cast<double>(prompt.layers.size());
    const double slots = static_cast<double>(total) / layers;
    const auto window = static_cast<double>(window_);
    if (slots <= window || prompt.layers.size() < 2) {
      return std::vector<double>(prompt.layers.size(), slots);
    }
    const double mean = slots - window;
    const double first =
        std::min(2 * mean - mean / beta_, static_cast<double>(prompt.prompt_tokens) - window);
    const double last = 2 * mean - first;
    std::vector<double> wishes;
    wishes.reserve(prompt.layers.size());
    for (size_t layer = 0; layer < prompt.layers.size(); ++layer) {
      const double depth = static_cast<double>(layer) / (layers - 1);
      wishes.push_back(window + first + depth * (last - first));
    }
    return wishes;
  }

  double beta_;
  int64_t window_;
};

}  // namespace

std::shared_ptr<const Allocation> make_pyramid_allocation(const Parameters& parameters) {
  parameters.require_known({"beta", "window"});
  constexpr double kFlat = 1.0;
  constexpr double kSteepest = 1e6;
  return std::make_shared<PyramidAllocation>(
      parameters.number("beta", /*otherwise=*/20.0, kFlat, kSteepest),
      parameters.integer("window", /*otherwise=*/32, /*least=*/0));
}

}  // namespace elastikv
