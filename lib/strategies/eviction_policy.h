#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "strategies/component.h"

namespace elastikv {

/// The slots of a cache ordered by the token they came from (equal ones by slot): the order in
/// which released code stores them.
std::vector<int64_t> slots_by_position(const std::vector<int64_t>& positions);

/// The slots of one set in the order of their tokens, kept up to date while tokens come and go, so
/// that a step costs no sorting.
class SlotOrder {
 public:
  /// Brings the order up to date with a cache's positions by slot: an appended entry is added, and
  /// all is sorted anew when the cache's layout is another one than before.
  void follow(const std::vector<int64_t>& positions, int64_t layout);
  /// Takes entries out as KVCache::apply does for a StepPlan: the last slot fills each hole.
  /// `ranks`: ascending indices into the order.
  void evict(const std::vector<int64_t>& ranks);

  const std::vector<int64_t>& slots() const { return slots_; }          ///< by rank
  const std::vector<int64_t>& positions() const { return positions_; }  ///< by rank, ascending

 private:
  std::vector<int64_t> slots_;
  std::vector<int64_t> positions_;
  int64_t layout_ = -1;
};

/// A generation policy that holds every layer at its budget: after each new token it evicts as many
/// slots as are over it. What goes is the subclass's choice, made per separate set of slots.
class EvictionPolicy : public GenerationPolicy {
 public:
  EvictionPolicy& operator=(const EvictionPolicy&) = delete;
  ~EvictionPolicy() override = default;
  std::vector<NearestQuestion> ask(const DecodeStep& step) final;
  std::vector<StepPlan> step(const DecodeStep& step) final;
  bool joins() const final { return compaction_ != nullptr; }
  std::vector<Lifetimes> foresee(const KVCache& cache, int64_t tokens_seen,
                                 int64_t new_tokens) final;

 protected:
  explicit EvictionPolicy(GenerationStart start);
  /// A copy that looks at the slots anew.
  EvictionPolicy(const EvictionPolicy& other);

  /// What a subclass's go_on returns, of itself.
  template <typename Policy>
  static std::unique_ptr<GenerationPolicy> going_on(const Policy& policy, const Budget& budget) {
    auto copy = std::make_unique<Policy>(policy);
    EvictionPolicy& ours = *copy;
    const EvictionPolicy& theirs = policy;
    // A compaction that cannot be copied would be lost.
    if (ours.compaction_ == nullptr && theirs.compaction_ != nullptr) return nullptr;
    ours.start_.budget = budget;
    return copy;
  }

  const GenerationStart& start() const { return start_; }
  /// A set of slots over its budget.
  struct Choice {
    int64_t layer;
    int64_t group;
    int64_t count;
    int64_t budget;
    int64_t tokens_seen;
    const std::vector<int64_t>& positions;  // ascending, the new token's last
  };

  /// Whether `choose` reads nothing but what a Choice says, so that all of its decisions are known
  /// before a token is run.
  virtual bool reads_only_choices() const { return false; }
  /// Separate decisions in a layer; the cache's own number unless a policy decides per head.
  virtual int64_t groups(const KVCache& cache, int64_t layer) const { return cache.groups(layer); }
  /// The policy's own scores of a set of slots by rank, larger is kept, for compactions that merge
  /// what is evicted; empty without any.
  virtual std::vector<float> scores(const Choice& choice) const;
  /// Called for every step, before anything is chosen.
  virtual void observe(const DecodeStep& /*step*/) {}
  /// `count` ranks (indices into the entries in ascending order of position) to evict from a set of
  /// slots, of which `budget` may stay.
  virtual std::vector<int64_t> choose(const Choice& choice) = 0;

 private:
  /// What one set of slots evicts.
  struct Evicted {
    const std::vector<int64_t>& by_position;  // slots
    std::vector<int64_t> ranks{};             // ascending
    Protected protect{};
    std::vector<float> scores{};
    std::optional<size_t> question{};  // its place among those asked
  };

  /// Chooses what every set of slots evicts, [layers][groups].
  std::vector<std::vector<Evicted>> choose_all(const DecodeStep& step);
  StepCompactionInput input_of(const KVCache& cache, int64_t layer, size_t group,
                               const std::vector<Evicted>& groups) const;
  /// What a set of slots with entries at `positions` is to decide; nothing if count <= 0.
  Choice choice_of(int64_t layer, int64_t group, int64_t tokens_seen,
                   const std::vector<int64_t>& positions) const;
  /// How what is evicted in a layer joins what stays.
  LayerPlan merged(const DecodeStep& step, int64_t layer, const std::vector<Evicted>& groups);

  GenerationStart start_;
  std::vector<std::vector<SlotOrder>> orders_;               // [layer][group]
  std::unique_ptr<StepCompaction> compaction_;               // null: what is evicted is forgotten
  std::optional<std::vector<std::vector<Evicted>>> chosen_;  // between ask and step
};

}  // namespace elastikv
