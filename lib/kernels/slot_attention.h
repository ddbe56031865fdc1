#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include "kernels/device_slots.h"
#include "kernels/rotary.h"

namespace elastikv {

/// One layer of a step over sequences whose slots the device knows.
struct SlotLayer {
  const RowSlots* rows = nullptr;       ///< [rows], on the device
  const RowWeights* weights = nullptr;  ///< [rows], on the device; null: nobody asked for any
  int64_t first_head = 0;               ///< of the layer among a row's heads
  int64_t kv_heads = 0;
  int64_t longest = 0;  ///< slots of the longest head, at most
  int64_t tokens = 1;   ///< new ones of each row
};

/// The new tokens of a step, before rotation: a token's heads lie one after another, tokens
/// anywhere.
struct NewTokens {
  at::Tensor queries;  ///< [rows * tokens, query_heads, head_dim]
  at::Tensor keys;     ///< [rows * tokens, kv_heads, head_dim]
  at::Tensor values;   ///< [rows * tokens, kv_heads, head_dim]
};

/// Descriptions of work on slots, and all that they refer to, sent together.
struct SentSlots {
  at::Tensor sent;         ///< u8, on the device
  int64_t offset = 0;      ///< of the descriptions in it
  int64_t count = 0;       ///< of these
  int64_t most_heads = 0;  ///< of one of them
  int64_t head_dim = 0;
  c10::ScalarType dtype = c10::ScalarType::Float;  ///< of the entries
};

}  // namespace elastikv
