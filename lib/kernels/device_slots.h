#pragma once

#include <cstdint>

// What a device's kernels know of the slots of caches. C++17 and no ATen, since nvcc reads it.

namespace elastikv {

/// One KV head of one layer of a sequence. Pointers are the device's; those of slots are shared by
/// heads that have their slots in common.
struct HeadSlots {
  void* keys = nullptr;  ///< the head's own entries, [entries, head_dim]
  void* values = nullptr;
  const void* prompt_keys = nullptr;  ///< the prompt's of this head, where there are places
  const void* prompt_values = nullptr;
  const int32_t* places = nullptr;     ///< [slots], see EntryView; null: slot i is own entry i
  const int32_t* distances = nullptr;  ///< [slots], see DecodeRow; null: keys are rotated
  const float* bias = nullptr;         ///< [slots] added to the scaled logits, or null
  const int32_t* length = nullptr;     ///< [1]: slots in use
};

/// What became of the slots that some heads have in common.
struct SlotChange {
  static constexpr int32_t kNewSlot = -1;
  static constexpr int32_t kRemoved = INT32_MIN;  // no place: entries are fewer

  int32_t slot;   ///< or kNewSlot: one more, the newest token's
  int32_t place;  ///< the slot's place from now on; kRemoved: the last slot takes its number
};

/// Changes of some heads' slots, to be carried out in order. Offsets are in bytes from the
/// beginning of what was sent with them.
struct SlotUpdate {
  int32_t* places = nullptr;  ///< as in HeadSlots
  int32_t* distances = nullptr;
  float* bias = nullptr;
  int32_t* length = nullptr;
  // The slots anew, before any changes; where `slots` is -1, those that are there stay.
  int64_t new_places = 0;     ///< i32 [slots]
  int64_t new_distances = 0;  ///< i32 [slots]
  int64_t new_bias = 0;       ///< f32 [slots]
  int64_t changes = 0;        ///< SlotChange [change_count]
  int32_t slots = -1;
  int32_t change_count = 0;
};

/// One sequence of a decode step.
struct RowSlots {
  const HeadSlots* heads = nullptr;  ///< [layers, kv_heads]
  const float* cos = nullptr;        ///< with distances: [positions, head_dim], see RotaryTable
  const float* sin = nullptr;
};

/// An entry that others join: in every head, out = (w x[from] + sum w_i x[source i]) / (w + sum
/// w_i), or without the division, is written to an entry of the sequence's own.
struct SlotJoin {
  const HeadSlots* heads = nullptr;  ///< [head_count]
  const float* cos = nullptr;        ///< of the rotary table, where keys are turned; else null
  const float* sin = nullptr;
  int64_t sources = 0;  ///< offset of JoinSource [source_count]
  int32_t source_count = 0;
  int32_t head_count = 0;
  int32_t from = 0;  ///< place of the entry
  int32_t to = 0;    ///< place of the own entry that it becomes
  float weight = 1;
  bool mean = true;
  bool keys = true;  ///< false: keys are copied, only values are joined
};

struct JoinSource {
  int32_t place;
  int32_t turn;  ///< positions by which the key is turned on
  float weight;
};

/// Which slot's key has the largest cosine with that of `source`, over all heads side by side.
struct NearestQuery {
  const HeadSlots* heads = nullptr;  ///< [head_count], of common slots
  int64_t excluded = 0;              ///< offset of i32 [excluded_count]: slots that do not count
  int32_t excluded_count = 0;
  int32_t head_count = 0;
  int32_t source = 0;
};

struct NearestAnswer {
  int32_t slot;  ///< of equals the first; -1 where none is left
  float cosine;  ///< 0 where a key has no direction
};

/// Where a row's attention weights in a layer go.
struct RowWeights {
  float* weights = nullptr;  ///< [query_heads, width], or null: nobody asked
  int64_t width = 0;
};

}  // namespace elastikv
