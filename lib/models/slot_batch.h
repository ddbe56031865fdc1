#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "cache/kv_cache.h"
#include "kernels/rotary.h"
#include "kernels/slot_attention.h"

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

  /// Gives every row's cache slots for `tokens` new tokens in every layer.
  SlotBatch(std::vector<SlotRow> rows, int64_t tokens, int64_t query_heads);

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
  std::vector<int64_t> longest_;  // [layers]
  at::Tensor all_weights_;        // f32
  std::vector<int64_t> offsets_;  // [layers, rows] into it; -1: none
  at::Tensor sent_;
  const RowSlots* row_slots_ = nullptr;
  const RowWeights* row_weights_ = nullptr;
};

}  // namespace elastikv
