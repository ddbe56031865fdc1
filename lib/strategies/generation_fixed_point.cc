#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/eviction_policy.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// Where the fixed index lies: `distance` entries before the end of the compressed prompt, or at a
/// `share` of it, which when given takes the distance's place.
struct FixedPoint {
  int64_t distance = 25;
  std::optional<double> share;

  /// A prompt compressed to less than the distance is cut in its middle, the place that the paper's
  /// Fig. 3 finds best.
  int64_t index(int64_t kept, int64_t sinks) const {
    const int64_t wanted = share                 ? std::llround(*share * static_cast<double>(kept))
                           : kept - distance < 1 ? kept / 2
                                                 : kept - distance;
    return std::max(wanted, std::min(sinks, kept - 1));
  }
};

class FixedPointPolicy final : public EvictionPolicy {
 public:
  FixedPointPolicy(GenerationStart start, const FixedPoint& point)
      : EvictionPolicy(std::move(start)), point_(point) {}

  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override {
    return going_on(*this, budget);
  }

 protected:
  bool reads_only_choices() const override { return true; }
  std::vector<int64_t> choose(const Choice& choice) override {
    const auto length = static_cast<int64_t>(choice.positions.size());
    const int64_t kept = start().kept(choice.layer, choice.group);
    const int64_t index = point_.index(kept, start().selection->protect(kept).sinks);
    const int64_t first = std::min(index, length - choice.count);
    std::vector<int64_t> ranks;
    append_range(ranks, first, first + choice.count);
    return ranks;
  }

 private:
  FixedPoint point_;
};

/// Elastic Cache's fixed-point elimination (arXiv 2407.18121, section 3.3): an index frozen at
/// compression. The entry there goes whenever the cache is over its budget: first the entries of
/// the compressed prompt from there on, then the oldest generated tokens. Sinks are never reached.
/// A share of 0 is the oldest after the sinks, of 1 the first generated token (the paper's Fig. 3).
class FixedPointGeneration final : public Generation {
 public:
  explicit FixedPointGeneration(const FixedPoint& point) : point_(point) {}

  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<FixedPointPolicy>(std::move(start), point_);
  }
  std::string description() const override {
    if (point_.share) return fmt::format("fixed_point(share={})", *point_.share);
    return fmt::format("fixed_point(distance={})", point_.distance);
  }

 private:
  FixedPoint point_;
};

}  // namespace

std::shared_ptr<const Generation> make_fixed_point_generation(const Parameters& parameters) {
  parameters.require_known({"distance", "share"});
  FixedPoint point;
  point.distance = parameters.integer("distance", point.distance, /*least=*/0);
  if (parameters.has("share")) point.share = parameters.share("share", 0.0);
  return std::make_shared<FixedPointGeneration>(point);
}

}  // namespace elastikv
