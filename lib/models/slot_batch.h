#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "cache/kv_cache.h"
#include "kernels/rotary.h"
#include "kernels/slot_attention.h"
#include "kernels/transfer.h"

namespace elastikv {

/// One sequence of a SlotBatch.
struct SlotRow {
  KVCache* cache = nullptr;
  int64_t token_index = 0;  ///< of its first new token
  /// Of its slots' distances, where its keys hold no rotation and steps turn them; else null.
  const RotaryTable* turned_by = nullptr;
  bool weights = false;  ///< whether attention rows are asked for
};

/// New tokens of several sequences on a device whose kernels know the caches' slots: appending and
/// attending take as many launches for one sequence as for many. All slots are prepared, and the
/// device is told of them, before the first layer.
class SlotBatch {
 public:
  /// Whether the rows' device has kernels for them.
  static bool suits(const std::vector<SlotRow>& rows);

  /// Gives every row's cache slots for `tokens` new tokens in every layer, and tells the device.
  SlotBatch(std::vector<SlotRow> rows, int64_t tokens, int64_t query_heads);

  /// Adds what append() and attend() need to a step's inputs; it is read when they are sent.
  void add_to(Upload& inputs);
  /// Where they lie on the device; to be called before append() and attend(). `room`: at least
  /// longest(), of all steps that run what is launched from here on.
  void read_from(const at::Tensor& inputs, std::vector<int64_t> room);
  /// [layers]: slots of the longest head.
  const std::vector<int64_t>& longest() const { return longest_; }
  /// Whether attention rows were asked for.
  bool has_weights() const { return !row_weights_.empty(); }

  /// Rotates the queries of a layer in place, and appends keys and values.
  void append(int64_t layer, const NewTokens& tokens, const RotaryTable::Angles& angles) const;
  /// Attention of rows of one token, [rows, query_heads, head_dim], over all slots.
  at::Tensor attend(int64_t layer, const at::Tensor& queries, double scale) const;

  /// Attention rows, all in one tensor on the device; undefined where nobody asked.
  const at::Tensor& all_weights() const { return all_weights_; }
  /// [rows][layers] of it, as DecodeOutput has them.
  std::vector<std::vector<at::Tensor>> weights() const;

 private:
  void append_slots();
  /// Room for the attention rows that were asked for; returns [layers, rows] of it.
  std::vector<RowWeights> make_weights();
  SlotLayer at(int64_t layer) const;

  std::vector<SlotRow> rows_;
  int64_t tokens_;
  CacheShape shape_;
  int64_t query_heads_;
  std::vector<int64_t> longest_;         // [layers]
  at::Tensor all_weights_;               // f32
  std::vector<int64_t> offsets_;         // [layers, rows] into it; -1: none
  std::vector<RowSlots> row_slots_;      // [rows]
  std::vector<RowWeights> row_weights_;  // [layers, rows], or empty
  int64_t slots_at_ = 0;                 // of these in the inputs
  int64_t weights_at_ = 0;
  at::Tensor inputs_;
  std::vector<int64_t> room_;  // [layers]
};

}  // namespace elastikv
