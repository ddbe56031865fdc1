#include <memory>
#include <utility>
#include <vector>

#include "strategies/components.h"
#include "strategies/eviction_policy.h"
#include "strategies/random_stream.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

class RandomPolicy final : public EvictionPolicy {
 public:
  explicit RandomPolicy(GenerationStart start) : EvictionPolicy(std::move(start)) {}

  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override {
    return going_on(*this, budget);
  }

 protected:
  bool reads_only_choices() const override { return true; }
  std::vector<int64_t> choose(const Choice& choice) override {
    const Selection& selection = *start().selection;
    const auto length = static_cast<int64_t>(choice.positions.size());
    const int64_t sinks = selection.protect(start().kept(choice.layer, choice.group)).sinks;
    const int64_t recent = selection.protect(choice.budget).recent;
    std::vector<int64_t> candidates;
    append_range(candidates, sinks, length - recent);
    // One stream per token: the draw depends on nothing but the sample and the place.
    RandomStream stream(start().prompt.seed + static_cast<uint64_t>(choice.tokens_seen),
                        choice.layer, choice.group);
    std::vector<int64_t> ranks;
    for (int64_t i = 0; i < choice.count; ++i) {
      const int64_t drawn = stream.below(static_cast<int64_t>(candidates.size()));
      ranks.push_back(candidates[static_cast<size_t>(drawn)]);
      candidates.erase(candidates.begin() + drawn);
    }
    return ranks;
  }
};

/// A random unprotected entry goes: the control that every rule has to beat.
class RandomGeneration final : public Generation {
 public:
  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<RandomPolicy>(std::move(start));
  }
  std::string description() const override { return "random"; }
};

}  // namespace

std::shared_ptr<const Generation> make_random_generation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<RandomGeneration>();
}

}  // namespace elastikv
