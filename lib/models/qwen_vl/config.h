#pragma once

#include <cstdint>

#include "base/json_fields.h"
#include "models/llama/config.h"

namespace elastikv {

/// config.json of Qwen-VL and Qwen-VL-Chat (QWenLMHeadModel with a `visual` part). Missing fields
/// as in the configuration_qwen.py and visual.py that these checkpoints bring along.
struct QwenVlConfig {
  struct Vision {
    int64_t width = 1664;  ///< of the tower's blocks
    int64_t mlp_size = 8192;
    int64_t layers = 48;
    int64_t heads = 16;
    int64_t image_size = 448;
    int64_t patch_size = 14;
    int64_t queries = 256;   ///< of the resampler: so many features become of an image
    int64_t out = 4096;      ///< the decoder's hidden size, and the resampler's
    int64_t out_heads = 32;  ///< of the resampler

    int64_t patches_per_side() const { return image_size / patch_size; }
  };
  LlamaConfig text;
  Vision vision;
  /// `<imgpad>`; the ids before it are `<img>` and `</img>`.
  int64_t image_token = 151859;

  static QwenVlConfig read(const JsonFields& config);
};

}  // namespace elastikv
