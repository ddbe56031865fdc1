#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "cache/cache_shape.h"
#include "cache/layer_plan.h"
#include "cache/layer_storage.h"
#include "cache/slot_joins.h"
#include "cache/slot_mirror.h"
#include "kernels/rotary.h"

namespace elastikv {

/// Where the rotary position of an entry comes from after others were evicted (reference:
/// strategies' cards).
enum class PositionMode {
  kOriginal,     ///< kept keys and new tokens have their true positions
  kCacheLength,  ///< kept keys keep their rotation; a new token's position is layer 0's cache
                 ///< length (released code)
  kRerotated,    ///< positions are ranks within the cache, 0..length-1 (StreamingLLM); keys are
                 ///< stored un-rotated
};

/// The keys and values of one sequence: per layer a set of slots, each with the index of the token
/// it came from. Keys carry their rotation, so storage order is free: evicting an entry moves the
/// last one into its slot, and nothing is shifted. Layers, and KV heads once a plan differs between
/// them, have lengths of their own, and take no more memory than that. Forks share the entries that
/// were there when they parted, whatever each of them does after: a fork only says which of them it
/// has kept, and holds what it adds or changes (see LayerStorage). Storage for that is reserved
/// ahead.
class KVCache {
 public:
  explicit KVCache(CacheShape shape);
  KVCache(KVCache&&) = default;
  KVCache& operator=(KVCache&&) = default;

  const CacheShape& shape() const { return shape_; }

  /// Number of separate slot sets in a layer: 1 while its KV heads share all decisions, else
  /// kv_heads.
  int64_t groups(int64_t layer) const;
  /// Slots in use; `group` < groups(layer).
  int64_t length(int64_t layer, int64_t group = 0) const;
  /// The longest of a layer's groups.
  int64_t max_length(int64_t layer) const;
  /// Token index of every slot in use, in storage order: the identity of an entry, and its rotary
  /// position unless set_rotary_positions or the position mode says otherwise.
  const std::vector<int64_t>& positions(int64_t layer, int64_t group = 0) const;
  /// Slots in use per KV head, [kv_heads]: what the attention kernels walk over.
  const std::vector<int64_t>& head_lengths(int64_t layer) const;
  /// A number that changes whenever slots are renumbered by anything but append and evict.
  int64_t layout(int64_t layer) const;
  /// Whether slots of this layer have a bias.
  bool has_logit_bias(int64_t layer) const;
  /// [groups][length]: what is added to the scaled logits of a slot; empty without biases.
  const std::vector<std::vector<float>>& logit_bias(int64_t layer) const;

  /// How far before the newest entry each slot of a group stands when entries are counted by rank,
  /// as they are in a re-rotated cache: 0 for the newest, length - 1 for the oldest.
  std::vector<int64_t> rank_distances(int64_t layer, int64_t group) const;

  /// Where a layer's keys and values lie, for the attention kernels; valid until the cache changes.
  EntryView view(int64_t layer) const;
  /// One head's entries in storage order, [length, head_dim]: a view, or a copy where entries are a
  /// fork's.
  at::Tensor head_keys(int64_t layer, int64_t head) const;
  at::Tensor head_values(int64_t layer, int64_t head) const;
  /// [kv_heads, length, head_dim] of a layer whose heads are equally long; a view as long as no
  /// plan has ever told them apart and nothing was changed after a fork.
  at::Tensor keys(int64_t layer) const;
  at::Tensor values(int64_t layer) const;
  /// Says what the prompt's keys are rotated by where it is not the index of their tokens (mRoPE):
  /// int64 [axes, tokens] on the CPU. Tokens after the prompt are rotated alike in all axes, one
  /// position apart, from one more than the largest of the prompt.
  void set_rotary_positions(at::Tensor positions);
  /// What a new token is rotated by, in all axes: its index, unless set_rotary_positions was
  /// called.
  int64_t rotary_position(int64_t token) const;
  /// What the keys of some tokens are rotated by: int64 [n], or [axes, n].
  at::Tensor rotary_positions(const std::vector<int64_t>& tokens) const;
  /// Says by which of its model's rotary tables this sequence is rotated (LanguageModel::rotary); 0
  /// unless told otherwise.
  void set_rotary_table(int64_t table) { rotary_table_ = table; }
  int64_t rotary_table() const { return rotary_table_; }
  /// Whether the keys' rotation has been taken off.
  bool keys_are_unrotated() const { return unrotated_; }

  /// Reserves room in every head of every layer, so that appending allocates nothing as long as
  /// heads don't become longer than that. Storage that a plan allocates later has as much room
  /// beyond what the plan keeps. A later call replaces an earlier one.
  void reserve(const Room& room);
  /// Room for `extra` entries beyond those there.
  void reserve(int64_t extra) { reserve(Room{extra, extra}); }
  /// Adds entries at the end of a layer. keys, values: [kv_heads, n, head_dim]; positions
  /// first_position ... + n - 1.
  void append(int64_t layer, const at::Tensor& keys, const at::Tensor& values,
              int64_t first_position);
  /// Adds one entry from row `row` of a decode batch. keys, values: [rows, kv_heads, head_dim].
  void append_row(int64_t layer, const at::Tensor& keys, const at::Tensor& values, int64_t row,
                  int64_t position);
  /// Adds entries of new tokens to a layer, whose content a device's kernel writes where the new
  /// slots say.
  void append_unwritten(int64_t layer, int64_t first_position, int64_t tokens);
  /// Adopts tensors as a layer's whole content without copying; the layer must be empty. Shapes as
  /// in append.
  void adopt(int64_t layer, const at::Tensor& keys, const at::Tensor& values,
             int64_t first_position);
  /// Gathers and merges a layer as the plan says, and frees the storage that this leaves without
  /// use. Sums are accumulated in fp32. `rotary`: what rotated the keys; read only by plans that
  /// merge un-rotated keys, which must have it unless keys_are_unrotated().
  void apply(int64_t layer, const LayerPlan& plan, const RotaryTable* rotary = nullptr);
  /// Carries out a decode step's decision. `joins`: takes merges that the device can make with
  /// those of other caches, to be run before anything is appended; null: they are made at once.
  void apply(int64_t layer, const StepPlan& plan, const RotaryTable* rotary = nullptr,
             SlotJoins* joins = nullptr);
  /// Evicts one slot: the last entry of the group takes its place.
  void evict(int64_t layer, int64_t group, int64_t slot);
  /// Reorders the slots of every head of a layer; `order`: int64 [length], a permutation. Attention
  /// does not notice.
  void permute(int64_t layer, const at::Tensor& order);
  /// Takes the rotation by their positions off all keys, once, for PositionMode::kRerotated.
  void unrotate_keys(const RotaryTable& rotary);

  /// What became of a layer's slots since begin_journal, for those who follow them.
  const SlotJournal& journal(int64_t layer) const { return at(layer).storage.journal(); }
  void begin_journal(int64_t layer) { at(layer).storage.begin_journal(); }
  /// How a device knows the slots; a fork's begins anew.
  SlotMirror& mirror() { return mirror_; }
  bool is_mirrored() const { return mirror_.is_known(); }

  /// A cache with the same content; storage is shared until one of the two changes it.
  KVCache fork() const;
  /// Bytes of one entry of one head: a key and a value.
  int64_t entry_bytes() const;
  /// Bytes of keys and values in use (slots, not reserved room).
  int64_t bytes() const;
  /// Bytes of storage held for keys and values, room included. Entries that were there before a
  /// fork count for the cache that holds them and for unchanged forks of it, but not for a fork
  /// that only refers to some of them.
  int64_t allocated_bytes() const;
  /// Bytes of storage that only this cache and later forks of it hold: without the entries that it
  /// shares with what it is a fork of.
  int64_t own_bytes() const;
  /// Slots in use in each layer, averaged over KV heads and rounded to nearest.
  std::vector<int64_t> slots_per_layer() const;

 private:
  /// Two copies would write to one storage: fork() is how to have another one.
  KVCache(const KVCache&) = default;

  struct Layer {
    LayerStorage storage;
    std::vector<std::vector<int64_t>> positions;  // [groups][length]
    std::vector<std::vector<float>> logit_bias;   // [groups][length], or empty
    int64_t layout = 0;
  };

  Layer& at(int64_t layer);
  const Layer& at(int64_t layer) const;
  /// What a plan makes of a part of a layer (all heads, or one where they differ), with its merges
  /// carried out. `whole`: the content of every slot that stays, not only of those that change.
  LayerStorage::Part gather(const Layer& layer, int64_t part, const LayerPlan& plan,
                            const RotaryTable* rotary, bool whole) const;
  /// Writes merged anchors back into their slots.
  void join(int64_t layer, const LayerPlan& plan, const RotaryTable* rotary);
  /// Whether a plan's merges average keys without their rotation while they are stored with it.
  bool turns_keys(const LayerPlan& plan) const;
  /// Whether join_later can carry out a plan.
  bool joins_later(const LayerPlan& plan) const;
  /// Gives anchors entries of their own and leaves it to `joins` to write them.
  void join_later(int64_t layer, const LayerPlan& plan, const RotaryTable* rotary,
                  SlotJoins& joins);
  static void split_groups(Layer& layer);
  /// What slots stand for, once they were appended.
  static void add_tokens(Layer& layer, int64_t first_position, int64_t tokens);
  /// Takes the rotation by their positions off keys.
  TurnBack turn_back(const RotaryTable& rotary) const;

  CacheShape shape_;
  at::Tensor rotary_positions_;       // [axes, prompt tokens], or undefined
  int64_t next_rotary_position_ = 0;  // of the first token after the prompt; with the former
  int64_t rotary_table_ = 0;
  Room room_;
  bool unrotated_ = false;
  std::vector<Layer> layers_;
  SlotMirror mirror_;
};

}  // namespace elastikv
