#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "strategies/components.h"
#include "strategies/eviction_policy.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

class OldestPolicy final : public EvictionPolicy {
 public:
  explicit OldestPolicy(GenerationStart start) : EvictionPolicy(std::move(start)) {}

  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override {
    return going_on(*this, budget);
  }

 protected:
  bool reads_only_choices() const override { return true; }
  std::vector<int64_t> choose(const Choice& choice) override {
    const int64_t sinks =
        start().selection->protect(start().kept(choice.layer, choice.group)).sinks;
    const auto length = static_cast<int64_t>(choice.positions.size());
    const int64_t first = std::min(sinks, length - choice.count);
    std::vector<int64_t> ranks;
    append_range(ranks, first, first + choice.count);
    return ranks;
  }
};

/// The oldest entry after the sinks goes (StreamingLLM, arXiv 2309.17453).
class OldestGeneration final : public Generation {
 public:
  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<OldestPolicy>(std::move(start));
  }
  std::string description() const override { return "oldest"; }
};

}  // namespace

std::shared_ptr<const Generation> make_oldest_generation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<OldestGeneration>();
}

}  // namespace elastikv
