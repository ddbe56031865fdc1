#pragma once

#include <cstdint>
#include <vector>

#include "base/json_fields.h"
#include "models/activation.h"
#include "models/llama/config.h"

namespace elastikv {

/// config.json of Qwen2-VL and Qwen2.5-VL.
struct Qwen2VlConfig {
  struct Vision {
    int64_t hidden_size = 1280;
    int64_t intermediate_size = 5120;
    int64_t layers = 32;
    int64_t heads = 16;
    int64_t channels = 3;
    int64_t patch_size = 14;
    int64_t temporal_patch_size = 2;
    int64_t merge_size = 2;  ///< so many patches by so many become one token
    Activation activation = Activation::kQuickGelu;
    double rope_theta = 10000;
    /// Qwen2.5-VL: RMS norms, a gated MLP, and attention within windows of so many pixels except in
    /// the blocks listed; 0 for Qwen2-VL.
    int64_t window_size = 0;
    std::vector<int64_t> full_attention_blocks;
  };
  LlamaConfig text;
  Vision vision;
  int64_t image_token = 151655;

  static Qwen2VlConfig read(const JsonFields& config);
};

}  // namespace elastikv
