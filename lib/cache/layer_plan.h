#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// What a strategy decides for the slots of one layer; KVCache::apply carries it out. Pure data:
/// the strategy never touches keys or values. G is 1 when all KV heads of the layer share the
/// decision, else kv_heads. All tensors live on the CPU. A plan whose `kept` is undefined leaves
/// the layer untouched, to the last bit.
struct LayerPlan {
  /// int64 [G, kept_slots]: the slots that stay, in their new storage order. Strategies give them
  /// ascending and unique; the cache itself takes any list, since what some released code computes
  /// repeats entries. Rows shorter than kept_slots are padded with -1 at the end.
  at::Tensor kept;
  /// int64 [G, merges]: slots whose keys and values are averaged into an anchor; -1 pads.
  /// Undefined: plain eviction. A source may itself be kept, or appear more than once.
  at::Tensor source;
  /// int64 [G, merges]: for every source the index into `kept` (not the slot) of the anchor it
  /// merges into.
  at::Tensor anchor;
  /// f32 [G, merges]: a source's weight against the anchor's own. Undefined: 1 for all (the paper's
  /// unweighted mean).
  at::Tensor source_weight;
  /// f32 [G, kept_slots]: the anchors' own weights. Undefined: 1.
  at::Tensor anchor_weight;

  bool keeps_everything() const { return !kept.defined(); }
};

/// What a generation policy decides for one layer after a decode step.
struct StepPlan {
  /// [G][...]: slots to give up, G = 1 (the same slot in all KV heads) or kv_heads. Empty: nothing.
  std::vector<std::vector<int64_t>> give_up;
  /// When its `kept` is defined, the layer is rebuilt by this plan instead (periodic
  /// re-compression).
  LayerPlan rebuild;
};

}  // namespace elastikv
