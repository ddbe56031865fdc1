#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/device_stopwatch.h"
#include "kernels/entry_view.h"
#include "kernels/prefill_statistics.h"
#include "kernels/rotary.h"

namespace elastikv {

/// Attention over a whole prompt and what was asked for beside it.
struct PrefillAttention {
  at::Tensor output;  ///< [query_heads, tokens, head_dim], dtype of the queries
  /// On the queries' device; without moments, which need queries before rotation.
  PrefillStatistics statistics;
  DeviceSeconds statistics_seconds;  ///< of the statistics beyond the attention itself
};

/// Causal attention with grouped queries, softmax(scale * q k^T) v.
/// queries: [query_heads, tokens, head_dim]; keys, values: [kv_heads, tokens, head_dim],
/// query_heads a multiple of kv_heads. All statistics are taken in one pass from the rows'
/// log-sum-exp in blocks of queries, so the largest temporary is [query_heads, block, tokens]; a
/// tokens x tokens matrix is never held.
PrefillAttention prefill_attention(const at::Tensor& queries, const at::Tensor& keys,
                                   const at::Tensor& values, double scale,
                                   const PrefillRequest& request);

/// Attention without a mask (vision towers): all of [heads, tokens, head_dim], same shape returned.
at::Tensor full_attention(const at::Tensor& queries, const at::Tensor& keys,
                          const at::Tensor& values, double scale);

/// One sequence of a decode batch: one layer's entries and how they are attended to.
struct DecodeRow : EntryView {
  /// Per KV head int64 [length], or empty: keys hold no rotation, and slot i stands distances[h][i]
  /// positions before the new token, whose query is not rotated either (only relative positions
  /// matter to a rotary embedding). One entry serves all heads. The kernel turns each key back by
  /// its distance while it reads it.
  std::vector<std::vector<int64_t>> distances;
  const RotaryTable* rotary = nullptr;  ///< with `distances`
  bool weights = false;                 ///< return this row's attention weights
};

struct DecodeAttention {
  at::Tensor output;  ///< [rows, query_heads, head_dim], dtype of the queries
  /// Per row f32 [query_heads, longest length] (0 past a head's length) on the CPU, or undefined.
  std::vector<at::Tensor> weights;
};

/// Attention of one new token per sequence over that sequence's own slots, each of its own length:
/// no padding is read. queries: [rows, query_heads, head_dim]. A row's result does not depend on
/// the other rows. A device whose kernels know the slots takes SlotBatch instead; here it computes
/// by plain ATen.
DecodeAttention decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                 double scale);

namespace reference {

/// The eager matrix, for tests: softmax in fp32 over [query_heads, tokens, tokens].
PrefillAttention prefill_attention(const at::Tensor& queries, const at::Tensor& keys,
                                   const at::Tensor& values, double scale,
                                   const PrefillRequest& request);
/// Plain ATen, row by row; runs on any device.
DecodeAttention decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                 double scale);

}  // namespace reference

namespace cpu {

/// fp32 and bf16 on the CPU: one pass over the slots per (row, KV head), fp32 inside.
DecodeAttention decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                 double scale);

}  // namespace cpu
}  // namespace elastikv
