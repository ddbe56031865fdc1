// A library of components that do what they must not, for plugin_test.cc.
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>

#include "strategies/plugin.h"

namespace elastikv {
namespace {

enum class Crime {
  kThrows,
  kThrowsAnInteger,
  kWrongShape,
  kWrongType,
  kNan,
  kTooFewLayers,
  kChangesItsInput,
  kReadsWhatItDidNotAskFor,
};

class HostileImportance final : public Importance {
 public:
  explicit HostileImportance(Crime crime) : crime_(crime) {}
  StatisticsRequest needs() const override { return {.keys = crime_ == Crime::kChangesItsInput}; }
  Granularity granularity() const override { return Granularity::kLayer; }
  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    const int64_t tokens = prompt.prompt_tokens;
    at::Tensor row = at::full({1, tokens}, 0.5, at::kFloat);
    std::vector<at::Tensor> scores(prompt.layers.size(), row);
    switch (crime_) {
      case Crime::kThrows:
        throw std::runtime_error("my_method.cc:12: no such thing");
      case Crime::kThrowsAnInteger:
        throw 3;
      case Crime::kWrongShape:
        scores.back() = at::full({1, tokens + 1}, 0.5, at::kFloat);
        break;
      case Crime::kWrongType:
        scores.back() = at::full({1, tokens}, 0.5, at::kDouble);
        break;
      case Crime::kNan:
        scores.back() = row / 0.0 * 0.0;
        break;
      case Crime::kTooFewLayers:
        scores.pop_back();
        break;
      case Crime::kChangesItsInput:
        prompt.layers.back().keys.mul_(2.0);
        break;
      case Crime::kReadsWhatItDidNotAskFor:
        norms(prompt.layers.front().values);
        break;
    }
    return scores;
  }
  std::string description() const override { return "hostile"; }

 private:
  Crime crime_;
};

/// Keeps the wrong entries of a prompt.
class HostileSelection final : public Selection {
 public:
  enum class Crime { kOutOfRange, kTwice, kTooMany, kDropsItsSink };
  explicit HostileSelection(Crime crime) : crime_(crime) {}
  bool needs_scores() const override { return false; }
  Protected protect(int64_t slots) const override { return fit_protection(1, 0, slots); }
  KeptSlots select(const SelectionInput& input) const override {
    std::vector<int64_t> row;
    append_range(row, 0, input.slots_of(0));
    if (crime_ == Crime::kOutOfRange) row.back() = input.tokens;
    if (crime_ == Crime::kTwice) row.back() = row[row.size() - 2];
    if (crime_ == Crime::kTooMany) row.push_back(input.slots_of(0));
    if (crime_ == Crime::kDropsItsSink) {
      for (int64_t& slot : row) ++slot;
    }
    return {row};
  }
  std::string description() const override { return "hostile"; }

 private:
  Crime crime_;
};

class GreedyAllocation final : public Allocation {
 public:
  std::vector<int64_t> slots_per_layer(const PromptStatistics& prompt,
                                       int64_t total) const override {
    std::vector<int64_t> slots(prompt.layers.size(),
                               total / static_cast<int64_t>(prompt.layers.size()));
    ++slots.front();
    return slots;
  }
  std::string description() const override { return "greedy"; }
};

/// Keeps other entries than were selected.
class OtherEntries final : public Compaction {
 public:
  bool merges() const override { return false; }
  LayerPlan plan(const CompactionInput& input) const override {
    KeptSlots kept = input.kept;
    if (kept.front().back() + 1 < input.tokens) ++kept.front().back();
    LayerPlan plan;
    plan.kept = padded_rows(kept);
    return plan;
  }
  std::string description() const override { return "other"; }
};

class HostilePolicy final : public GenerationPolicy {
 public:
  explicit HostilePolicy(bool wrong_slot) : wrong_slot_(wrong_slot) {}
  std::vector<StepPlan> step(const DecodeStep& step) override {
    if (!wrong_slot_) return {};
    std::vector<StepPlan> plans(static_cast<size_t>(step.cache->shape().layers));
    plans.front().evict = {{1 << 20}};
    return plans;
  }

 private:
  bool wrong_slot_;
};

class WrongRanks final : public EvictionPolicy {
 public:
  explicit WrongRanks(GenerationStart start) : EvictionPolicy(std::move(start)) {}

 protected:
  std::vector<int64_t> choose(const Choice& choice) override {
    return std::vector<int64_t>(static_cast<size_t>(choice.count),
                                static_cast<int64_t>(choice.positions.size()));
  }
};

class HostileGeneration final : public Generation {
 public:
  enum class Crime { kNeverEvicts, kWrongSlot, kWrongRank };
  explicit HostileGeneration(Crime crime) : crime_(crime) {}
  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    if (crime_ == Crime::kWrongRank) return std::make_unique<WrongRanks>(std::move(start));
    return std::make_unique<HostilePolicy>(crime_ == Crime::kWrongSlot);
  }
  std::string description() const override { return "hostile"; }

 private:
  Crime crime_;
};

template <typename Component, typename Crime>
auto maker(Crime crime) {
  return [crime](const Parameters& parameters) {
    parameters.require_known({});
    return std::make_shared<Component>(crime);
  };
}

}  // namespace
}  // namespace elastikv

ELASTIKV_PLUGIN(components) {
  using namespace elastikv;
  if (std::getenv("ELASTIKV_HOSTILE_PLUGIN") != nullptr) throw std::runtime_error("not today");
  const auto importance = [&](const char* kind, Crime crime) {
    components.add_importance(kind, maker<HostileImportance>(crime));
  };
  importance("throws", Crime::kThrows);
  importance("throws-an-integer", Crime::kThrowsAnInteger);
  importance("wrong-shape", Crime::kWrongShape);
  importance("wrong-type", Crime::kWrongType);
  importance("nan", Crime::kNan);
  importance("too-few-layers", Crime::kTooFewLayers);
  importance("changes-its-input", Crime::kChangesItsInput);
  importance("reads-what-it-did-not-ask-for", Crime::kReadsWhatItDidNotAskFor);
  using Selecting = HostileSelection::Crime;
  components.add_selection("out-of-range", maker<HostileSelection>(Selecting::kOutOfRange));
  components.add_selection("twice", maker<HostileSelection>(Selecting::kTwice));
  components.add_selection("too-many", maker<HostileSelection>(Selecting::kTooMany));
  components.add_selection("drops-its-sink", maker<HostileSelection>(Selecting::kDropsItsSink));
  components.add_allocation("greedy",
                            [](const Parameters&) { return std::make_shared<GreedyAllocation>(); });
  components.add_compaction("other-entries",
                            [](const Parameters&) { return std::make_shared<OtherEntries>(); });
  using Generating = HostileGeneration::Crime;
  components.add_generation("never-evicts", maker<HostileGeneration>(Generating::kNeverEvicts));
  components.add_generation("wrong-slot", maker<HostileGeneration>(Generating::kWrongSlot));
  components.add_generation("wrong-rank", maker<HostileGeneration>(Generating::kWrongRank));
}
