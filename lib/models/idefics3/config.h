#pragma once

#include <cstdint>

#include "base/json_fields.h"
#include "models/clip_vision_config.h"
#include "models/llama/config.h"

namespace elastikv {

/// config.json of Idefics3 and SmolVLM (model_type idefics3, smolvlm).
struct Idefics3Config {
  LlamaConfig text;
  ClipVisionConfig vision;
  int64_t scale_factor = 2;  ///< so many patches by so many become one token
  int64_t image_token = 128257;

  static Idefics3Config read(const JsonFields& config);
  int64_t tokens_per_view() const { return vision.patches() / (scale_factor * scale_factor); }
};

}  // namespace elastikv
