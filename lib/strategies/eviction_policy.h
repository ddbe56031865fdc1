#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "strategies/component.h"

namespace elastikv {

/// The slots of a cache ordered by the token they came from (equal ones by slot): the order in
/// which released code stores them.
std::vector<int64_t> slots_by_position(const std::vector<int64_t>& positions);

/// A generation policy that holds every layer at its budget: after each new token it gives up as
/// many slots as are over it. What goes is the subclass's choice, made per separate set of slots.
/// Slots are found by position each time, so the policy needs no bookkeeping when others move.
class EvictionPolicy : public GenerationPolicy {
 public:
  std::vector<StepPlan> step(const DecodeStep& step) final;

 protected:
  explicit EvictionPolicy(GenerationStart start);

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

  /// Separate decisions in a layer; the cache's own number unless a policy decides per head.
  virtual int64_t groups(const KVCache& cache, int64_t layer) const { return cache.groups(layer); }
  /// The policy's own scores of a set of slots by rank, larger is kept, for compactions that merge
  /// what is given up; empty without any.
  virtual std::vector<float> scores(const Choice& choice) const;
  /// Called for every step, before anything is chosen.
  virtual void observe(const DecodeStep& /*step*/) {}
  /// `count` ranks (indices into the entries in ascending order of position) to give up of a set of
  /// slots, of which `budget` may stay.
  virtual std::vector<int64_t> choose(const Choice& choice) = 0;

 private:
  struct GivenUp;
  /// The plan of a layer in which what is given up joins what stays.
  LayerPlan merged(const KVCache& cache, int64_t layer, const std::vector<GivenUp>& groups);

  GenerationStart start_;
  std::unique_ptr<StepCompaction> compaction_;  // null: what is given up is forgotten
};

}  // namespace elastikv
