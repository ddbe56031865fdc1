#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/eviction_policy.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

class FixedPointPolicy final : public EvictionPolicy {
 public:
  FixedPointPolicy(GenerationStart start, int64_t distance) : EvictionPolicy(std::move(start)) {
    const auto layers = static_cast<int64_t>(this->start().prompt.layers.size());
    for (int64_t layer = 0; layer < layers; ++layer) {
      const int64_t kept = this->start().kept(layer);
      const int64_t sinks = this->start().selection->protect(kept).sinks;
      fixed_.push_back(std::max(kept - distance, std::min(sinks, kept - 1)));
    }
  }

 protected:
  std::vector<int64_t> choose(const Choice& choice) override {
    const auto length = static_cast<int64_t>(choice.positions.size());
    const int64_t first =
        std::min(fixed_[static_cast<size_t>(choice.layer)], length - choice.count);
    std::vector<int64_t> ranks;
    append_range(ranks, first, first + choice.count);
    return ranks;
  }

 private:
  std::vector<int64_t> fixed_;  // per layer, an index into the entries by position
};

/// Elastic Cache's fixed-point elimination (arXiv 2407.18121, section 3.3): an index frozen at
/// compression, `distance` entries before the end of the compressed prompt. The entry there goes
/// whenever the cache is over its budget: first the last `distance` entries of the prompt, then the
/// oldest generated tokens. Sinks are never reached.
class FixedPointGeneration final : public Generation {
 public:
  explicit FixedPointGeneration(int64_t distance) : distance_(distance) {}

  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<FixedPointPolicy>(std::move(start), distance_);
  }
  std::string description() const override {
    return fmt::format("fixed_point(distance={})", distance_);
  }

 private:
  int64_t distance_;
};

}  // namespace

std::shared_ptr<const Generation> make_fixed_point_generation(const Parameters& parameters) {
  parameters.require_known({"distance"});
  return std::make_shared<FixedPointGeneration>(parameters.integer("distance", 25, /*least=*/0));
}

}  // namespace elastikv
