#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "kernels/attention.h"
#include "kernels/rotary.h"
#include "models/decode_graphs.h"
#include "models/language_model.h"
#include "models/slot_batch.h"

namespace elastikv {

/// What the layers of a decode step begin with, on the device.
struct StepBegin {
  at::Tensor ids;  ///< int64 [rows]
  /// [rows, 1, 1] of the model's dtype: what queries are multiplied by; undefined: nothing.
  at::Tensor query_scales{};
};

/// A decode step over a batch of sequences with caches of their own: sends what it needs to the
/// device, then rotates, appends and attends layer by layer. Shared by all decoders with rotary
/// embeddings.
class DecodeBatch {
 public:
  /// `model`: whose rotary tables rotate the rows' keys. `query_scales`: [rows], or empty.
  DecodeBatch(const std::vector<DecodeInput>& rows, const LanguageModel& model, double scale,
              c10::Device device, c10::ScalarType dtype, std::vector<float> query_scales = {});

  /// The layers of a step, which call attend() for each; return logits.
  using Layers = std::function<at::Tensor(const StepBegin& begin)>;
  /// Runs the layers, or a graph of them where there are `graphs` (may be null).
  at::Tensor run(const Layers& layers, DecodeGraphs* graphs);
  /// queries: [rows, query_heads, head_dim]; keys, values: [rows, kv_heads, head_dim], all before
  /// rotation, which queries and keys are given in place. Returns [rows, query_heads, head_dim]
  /// after the new entries were appended to layer `layer` of each row's cache.
  at::Tensor attend(int64_t layer, const at::Tensor& queries, const at::Tensor& keys,
                    const at::Tensor& values);

  /// Puts the attention rows of all layers into a step's output.
  void give_weights(DecodeOutput& output);

 private:
  StepShape shape() const;

  const std::vector<DecodeInput>& rows_;
  std::vector<const RotaryTable*> tables_;  // by row
  double scale_;
  c10::Device device_;
  c10::ScalarType dtype_;
  std::vector<int64_t> ids_;  // [rows]
  std::vector<int64_t> positions_;
  std::vector<float> query_scales_;
  RotaryTable::Angles angles_;         // of each row's new token
  std::optional<SlotBatch> on_slots_;  // on a device that knows the slots
  std::vector<std::vector<at::Tensor>> weights_;
};

}  // namespace elastikv
