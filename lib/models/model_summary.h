#pragma once

#include <cstdint>
#include <string>

#include "models/llama/config.h"

namespace elastikv {

/// What config.json says of a model, read without any weights.
struct ModelSummary {
  std::string architecture;
  LlamaConfig decoder;
  std::string text;          ///< of the decoder, as LlamaConfig::summary() has it
  std::string vision;        ///< of the tower, in words; empty without one
  int64_t image_token = -1;  ///< placeholder token, which need not be in the vocabulary
  int64_t image_size = 0;    ///< side in pixels of a view, where the tower takes one size
  int64_t max_positions = 0;
  int64_t vocab_size = 0;
  int64_t cache_bytes_per_token_fp16 = 0;

  bool takes_images() const { return !vision.empty(); }
  /// Fills in what a decoder decides.
  void take_decoder(const LlamaConfig& config);
};

}  // namespace elastikv
