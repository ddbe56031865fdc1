#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "cache/layer_plan.h"

namespace elastikv {

/// Where the rotary position of an entry comes from after others were given up (reference:
/// strategies' cards).
enum class PositionMode {
  kOriginal,     ///< kept keys and new tokens have their true positions
  kCacheLength,  ///< kept keys keep their rotation; a new token's position is layer 0's cache
                 ///< length (released code)
  kRerotated,    ///< positions are ranks within the cache, 0..length-1 (StreamingLLM); keys are
                 ///< stored un-rotated
};

struct CacheShape {
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  c10::ScalarType dtype = c10::ScalarType::Float;
  c10::Device device = c10::Device(c10::DeviceType::CPU);
};

/// The keys and values of one sequence: per layer a set of slots, each with the index of the token
/// it came from. Keys carry their rotation, so storage order is free: giving up an entry moves the
/// last one into its slot, and nothing is shifted. Layers, and KV heads once a plan differs between
/// them, have lengths of their own. Storage is reserved ahead and shared between forks until one of
/// them changes it.
class KVCache {
 public:
  explicit KVCache(CacheShape shape);

  const CacheShape& shape() const { return shape_; }

  /// Number of separate slot sets in a layer: 1 while its KV heads share all decisions, else
  /// kv_heads.
  int64_t groups(int64_t layer) const;
  /// Slots in use; `group` < groups(layer).
  int64_t length(int64_t layer, int64_t group = 0) const;
  /// The longest of a layer's groups.
  int64_t max_length(int64_t layer) const;
  /// Token index of every slot in use, in storage order: the identity of an entry, and its rotary
  /// position unless the position mode says otherwise.
  const std::vector<int64_t>& positions(int64_t layer, int64_t group = 0) const;
  /// Slots in use per KV head, int64 [kv_heads]: what the attention kernels walk over.
  const std::vector<int64_t>& head_lengths(int64_t layer) const;

  /// [kv_heads, capacity, head_dim]; only the first length() slots of each head hold entries.
  const at::Tensor& keys(int64_t layer) const;
  const at::Tensor& values(int64_t layer) const;

  /// Reserves room for `slots` entries in every layer, so that appending up to there allocates
  /// nothing.
  void reserve(int64_t slots);
  /// Adds entries at the end of a layer. keys, values: [kv_heads, n, head_dim]; positions
  /// first_position ... + n - 1.
  void append(int64_t layer, const at::Tensor& keys, const at::Tensor& values,
              int64_t first_position);
  /// Adds one entry from row `row` of a decode batch. keys, values: [rows, kv_heads, head_dim].
  void append_row(int64_t layer, const at::Tensor& keys, const at::Tensor& values, int64_t row,
                  int64_t position);
  /// Adopts tensors as a layer's whole content without copying; the layer must be empty. Shapes as
  /// in append.
  void adopt(int64_t layer, at::Tensor keys, at::Tensor values, int64_t first_position);
  /// Gathers and merges a layer as the plan says. Group means are accumulated in fp32.
  void apply(int64_t layer, const LayerPlan& plan);
  /// Carries out a decode step's decision.
  void apply(int64_t layer, const StepPlan& plan);
  /// Gives up one slot: the last entry of the group takes its place.
  void give_up(int64_t layer, int64_t group, int64_t slot);
  /// Reorders the slots of every head of a layer; `order`: int64 [length], a permutation. Attention
  /// does not notice.
  void permute(int64_t layer, const at::Tensor& order);
  /// Replaces all keys of a layer in place of the old ones, same shape as [kv_heads, length,
  /// head_dim]; for re-rotation.
  void replace_keys(int64_t layer, const at::Tensor& keys);

  /// A cache with the same content; storage is shared until one of the two changes it.
  KVCache fork() const;
  /// Bytes of keys and values in use (slots, not reserved room).
  int64_t bytes() const;
  /// Slots in use in each layer, averaged over KV heads and rounded to nearest.
  std::vector<int64_t> slots_per_layer() const;

 private:
  struct Layer {
    at::Tensor keys;                              // [kv_heads, capacity, head_dim]
    at::Tensor values;                            // [kv_heads, capacity, head_dim]
    std::vector<std::vector<int64_t>> positions;  // [groups][length]
    std::vector<int64_t> head_lengths;            // [kv_heads]
    mutable bool shared = false;                  // storage is also another fork's
  };

  Layer& at(int64_t layer);
  const Layer& at(int64_t layer) const;
  /// Makes the layer's storage its own, with room for at least `slots` entries.
  void own(Layer& layer, int64_t slots);
  void split_groups(Layer& layer) const;
  static void update_head_lengths(Layer& layer);

  CacheShape shape_;
  int64_t reserved_ = 0;
  std::vector<Layer> layers_;
};

}  // namespace elastikv
