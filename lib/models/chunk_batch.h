#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "kernels/rotary.h"
#include "models/language_model.h"
#include "models/slot_batch.h"

namespace elastikv {

/// The attention part of a chunk of known tokens, as DecodeBatch is of a step: rotates, appends and
/// attends layer by layer. Shared by all decoders with rotary embeddings.
class ChunkBatch {
 public:
  /// `model`: whose rotary tables rotate the rows' keys.
  ChunkBatch(const std::vector<ChunkInput>& rows, int64_t tokens, const LanguageModel& model,
             double scale, c10::Device device, c10::ScalarType dtype);

  /// queries: [rows * tokens, query_heads, head_dim]; keys, values: [rows * tokens, kv_heads,
  /// head_dim], all before rotation, which queries and keys are given in place. Returns [rows *
  /// tokens, query_heads, head_dim] after the new entries were appended to layer `layer` of each
  /// row's cache.
  at::Tensor attend(int64_t layer, const at::Tensor& queries, const at::Tensor& keys,
                    const at::Tensor& values);

 private:
  const std::vector<ChunkInput>& rows_;
  int64_t tokens_;
  std::vector<const RotaryTable*> tables_;  // by row
  double scale_;
  RotaryTable::Angles angles_;         // of each row's tokens; none at position 0
  std::optional<SlotBatch> on_slots_;  // on a device that knows the slots
};

}  // namespace elastikv
