#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "kernels/attention.h"
#include "kernels/rotary.h"
#include "models/language_model.h"
#include "models/slot_batch.h"

namespace elastikv {

/// The attention part of a decode step over a batch of sequences with caches of their own: rotates,
/// appends and attends layer by layer. Shared by all decoders with rotary embeddings.
class DecodeBatch {
 public:
  /// `model`: whose rotary tables rotate the rows' keys.
  DecodeBatch(const std::vector<DecodeInput>& rows, const LanguageModel& model, double scale,
              c10::Device device, c10::ScalarType dtype);

  /// queries: [rows, query_heads, head_dim]; keys, values: [rows, kv_heads, head_dim], all before
  /// rotation, which queries and keys are given in place. Returns [rows, query_heads, head_dim]
  /// after the new entries were appended to layer `layer` of each row's cache.
  at::Tensor attend(int64_t layer, const at::Tensor& queries, const at::Tensor& keys,
                    const at::Tensor& values);

  /// Puts the attention rows of all layers into a step's output.
  void give_weights(DecodeOutput& output);

 private:
  const std::vector<DecodeInput>& rows_;
  std::vector<const RotaryTable*> tables_;  // by row
  double scale_;
  RotaryTable::Angles angles_;         // of each row's new token
  std::optional<SlotBatch> on_slots_;  // on a device that knows the slots
  std::vector<std::vector<at::Tensor>> weights_;
};

}  // namespace elastikv
