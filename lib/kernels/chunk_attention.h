#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/entry_view.h"
#include "kernels/rotary.h"

namespace elastikv {

/// Which tokens of a chunk see the slots of one set: token t sees slot i if first[i] <= t <
/// until[i]. Every token must see a slot.
struct ChunkSlots {
  std::vector<int32_t> first;  ///< [length]
  std::vector<int32_t> until;  ///< [length]
  // For un-rotated keys whose positions are ranks among the slots that a token sees. While entries
  // go, a slot keeps either its rank (nothing older goes) or its distance to the new token (nothing
  // newer goes); it is rotated by key_positions, and the query by the one of its two positions that
  // suits the slot.
  std::vector<int64_t> key_positions;    ///< [length], or empty: keys are rotated already
  std::vector<uint8_t> keeps_rank;       ///< [length]
  std::vector<int64_t> rank_positions;   ///< [tokens]: of the query towards slots that keep it
  std::vector<int64_t> query_positions;  ///< [tokens]: of the query towards all others
};

/// One sequence of a chunk: one layer's entries, the chunk's own among them.
struct ChunkRow : EntryView {
  const std::vector<ChunkSlots>* slots = nullptr;  ///< one for all heads, or [kv_heads]
  const RotaryTable* rotary = nullptr;             ///< with un-rotated keys
};

/// Attention of several known tokens of each sequence at once, each over the slots that it would
/// see if they were run one by one. queries: [rows, tokens, query_heads, head_dim], rotated unless
/// the row's keys are not; returns the same shape and dtype. fp32 inside.
at::Tensor chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows,
                           double scale);

namespace reference {
/// Plain ATen, head by head; runs on any device.
at::Tensor chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows,
                           double scale);
}  // namespace reference

namespace cpu {
/// fp32 and bf16: products of blocks of queries with panels of keys.
at::Tensor chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows,
                           double scale);
}  // namespace cpu

}  // namespace elastikv
