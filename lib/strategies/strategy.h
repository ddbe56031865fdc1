#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "cache/kv_cache.h"
#include "cache/layer_plan.h"
#include "cache/nearest_keys.h"
#include "strategies/budget.h"
#include "strategies/statistics.h"

namespace elastikv {

/// What a generation policy sees after a decode step: the new token's entry has been appended to
/// every layer (its position is tokens_seen - 1) and has been attended to.
struct DecodeStep {
  int64_t tokens_seen = 0;  ///< prompt and generated tokens, the new one included
  const KVCache* cache = nullptr;
  /// Per layer f32 [query_heads, max_length(layer)] on the CPU: the new token's attention over the
  /// slots, in storage order; entries past a head's length are 0. Empty unless decode rows were
  /// asked for.
  std::vector<at::Tensor> rows;
  /// Answers to what the policy asked of the cache's keys, one per question; empty where nobody
  /// asked it to ask.
  std::vector<NearestSlots> answers{};
};

/// When the entries of one layer are evicted, as far as that is known in advance. Per separate set
/// of slots, by rank (the entries there at the start in the order of their tokens, then the new
/// tokens): how many of the new tokens are run before the entry is gone. New token t attends to an
/// entry as long as t < until, and to new token i if i <= t.
struct Lifetimes {
  static constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
  std::vector<std::vector<int64_t>> until;  ///< [groups][entries + new tokens]
};

/// Decides, token by token, what a sequence's cache evicts. One object per sequence: it may keep
/// state, which it must keep in step with the slots itself (an evicted slot is taken by the last
/// one, see KVCache::evict).
class GenerationPolicy {
 public:
  virtual ~GenerationPolicy() = default;
  /// What `step` needs to know of the cache's keys to decide. Where keys lie on a device, all
  /// sequences are asked first, and answered together; elsewhere `step` comes without, and looks
  /// at the keys itself. `step` as there, which has to follow.
  virtual std::vector<NearestQuestion> ask(const DecodeStep& /*step*/) { return {}; }
  /// One plan per layer, or an empty vector when nothing is to be evicted anywhere.
  virtual std::vector<StepPlan> step(const DecodeStep& step) = 0;
  /// What all steps over the next `new_tokens` would evict, one per layer; empty when that
  /// depends on what the model computes. `cache` and `tokens_seen`: the sequence as it is now. The
  /// policy must not be stepped any more.
  virtual std::vector<Lifetimes> foresee(const KVCache& /*cache*/, int64_t /*tokens_seen*/,
                                         int64_t /*new_tokens*/) {
    return {};
  }
  /// A policy that goes on from this one's state, for this sequence or for another with the same
  /// cache, under a budget that says more of what comes on top; it looks at the slots anew. Null:
  /// this policy cannot be told apart from its sequence, which can then not go on from turn to
  /// turn.
  virtual std::unique_ptr<GenerationPolicy> go_on(const Budget& /*budget*/) const {
    return nullptr;
  }
  /// Whether what is evicted may join other entries, which then need one of the cache's own each.
  virtual bool joins() const { return false; }
  /// Slots that a layer may at most hold beyond its budget, the new token's included.
  virtual int64_t overshoot() const { return 1; }
};

/// A cache-compression method: a composition of components, or what some released code computes.
/// Immutable and shared by all cells; state of a sequence lives in its GenerationPolicy.
class Strategy {
 public:
  virtual ~Strategy() = default;

  /// What `compress` and the generation policy read.
  virtual StatisticsRequest needs() const = 0;
  virtual PositionMode positions() const = 0;
  /// Instruction encoding: one plan per layer for the prompt's entries. An unlimited budget gives
  /// plans that keep everything.
  virtual std::vector<LayerPlan> compress(const PromptStatistics& prompt,
                                          const Budget& budget) const = 0;
  /// False for a strategy that never merges entries: it needs no memory for merged ones.
  virtual bool merges() const { return true; }
  /// What the entries of a prompt were ranked by: one f32 [G, prompt_tokens] per layer, larger is
  /// kept; empty for a strategy that ranks nothing.
  virtual std::vector<at::Tensor> importance(const PromptStatistics& prompt) const = 0;
  /// Output generation: a policy for a sequence whose prompt was compressed by `plans`; null when
  /// nothing is ever evicted (always so for an unlimited budget).
  virtual std::unique_ptr<GenerationPolicy> begin_generation(const PromptStatistics& prompt,
                                                             const std::vector<LayerPlan>& plans,
                                                             const Budget& budget) const = 0;
  /// All components with all parameters in one canonical line: part of a record's key, and what
  /// tables cite.
  virtual std::string description() const = 0;
  /// The components by role and kind ("compaction/evict"), those within components too: what
  /// base/revisions.h knows of. A description ends with the revisions that are above 1, and those
  /// of plugins with the hash of the plugin.
  virtual std::vector<std::string> parts() const = 0;
};

}  // namespace elastikv
