#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "kernels/slot_attention.h"

namespace elastikv::cuda {

/// Whether the others have code for entries of this kind: fp32, fp16 or bf16 of whole 16-byte
/// pieces (of two halves of such where keys are `turned` while they are read), heads of at most 256
/// dimensions.
bool has_slot_attention(c10::ScalarType dtype, int64_t head_dim, bool turned);

/// Carries out SlotUpdates.
void update_slots(const SentSlots& updates);

/// Rotates queries in place, and keys on their way to the entries of their heads' newest slots,
/// where values are copied, too. `angles`: of each token, of the queries' dtype.
void rotate_and_append(const NewTokens& tokens, const RotaryTable::Angles& angles,
                       const SlotLayer& layer);

/// Attention of each row's query [rows, query_heads, head_dim] over its own slots; the same shape
/// is returned. Slots are split among blocks, and the query heads of a KV head share its reads.
/// Sums are fp32, in an order that depends on the row alone.
at::Tensor attend_slots(const at::Tensor& queries, const SlotLayer& layer, double scale);

/// Carries out SlotJoins; none reads what another writes.
void join_slots(const SentSlots& joins);

/// Answers NearestQueries: u8 on the device, NearestAnswer [count].
at::Tensor find_nearest(const SentSlots& queries);

}  // namespace elastikv::cuda
