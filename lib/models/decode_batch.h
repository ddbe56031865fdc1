#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "kernels/attention.h"
#include "kernels/rotary.h"
#include "models/language_model.h"

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

  /// [rows][layers] attention rows collected so far, on the CPU. What a GPU made comes over in one
  /// copy per row of the batch, so that no layer waits for it.
  std::vector<std::vector<at::Tensor>> take_weights();

 private:
  const std::vector<DecodeInput>& rows_;
  std::vector<const RotaryTable*> tables_;  // by row
  double scale_;
  RotaryTable::Angles angles_;  // of each row's new token
  std::vector<std::vector<at::Tensor>> weights_;
};

}  // namespace elastikv
