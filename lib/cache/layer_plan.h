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
  /// How the sources of an anchor a, each weighted, join it.
  enum class Rule {
    kMean,  ///< (w_a x_a + sum w_i x_i) / (w_a + sum w_i)
    kSum,   ///< w_a x_a + sum w_i x_i
  };
  /// Which rotation keys are averaged in.
  enum class KeySpace {
    kRotated,    ///< as they are stored
    kUnrotated,  ///< un-rotated, then rotated to the anchor's position
  };

  /// int64 [G, kept_slots]: the slots that stay, in their new storage order. Strategies give them
  /// ascending and unique; the cache itself takes any list, since what some released code computes
  /// repeats entries. Rows shorter than kept_slots are padded with -1 at the end.
  at::Tensor kept;
  /// int64 [G, merges]: slots whose keys and values are merged into an anchor; -1 pads.
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
  /// f32 [G, kept_slots]: added to the slots' attention logits from now on, on top of what they
  /// have (log of a group's size, so that it receives the attention of its members). Undefined: 0.
  at::Tensor logit_bias;
  Rule rule = Rule::kMean;
  KeySpace key_space = KeySpace::kRotated;
  bool merge_keys = true;  ///< false: only values are merged, keys are those of the kept slots

  bool keeps_everything() const { return !kept.defined(); }
};

/// What a generation policy decides for one layer after a decode step.
struct StepPlan {
  /// [G][...]: slots to evict, G = 1 (the same slot in all KV heads) or kv_heads. Empty: nothing.
  std::vector<std::vector<int64_t>> evict;
  /// When its `kept` is defined, entries join others in place before any are evicted: `kept` names
  /// the anchors' slots and nothing else of the layer moves. Its G is that of evict.
  LayerPlan join;
  /// When its `kept` is defined, the layer is rebuilt by this plan instead (periodic
  /// re-compression). Its G must be that of the layer, or kv_heads.
  LayerPlan rebuild;
};

}  // namespace elastikv
