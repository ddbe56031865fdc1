#pragma once

#include <cstdint>
#include <vector>

#include "base/json_fields.h"
#include "models/activation.h"
#include "models/clip_vision_config.h"
#include "models/llama/config.h"

namespace elastikv {

/// config.json of LLaVA, LLaVA-NeXT or LLaVA-OneVision; missing fields as in transformers'
/// LlavaConfig, LlavaNextConfig and LlavaOnevisionConfig, or in the original LLaVA's code.
struct LlavaConfig {
  enum class Family {
    kLlava,
    kNext,       ///< the whole image and tiles, without what padded them, a newline after each row
    kOnevision,  ///< the same, scaled down where the tiles are more than max_tiles
    kOriginal,   ///< LlavaLlamaForCausalLM: the layout of liuhaotian/llava-v1.5-*
  };
  Family family = Family::kLlava;
  LlamaConfig text;
  ClipVisionConfig vision;
  int64_t image_token = 32000;
  std::vector<int64_t> feature_layers{-2};  ///< concatenated when more than one
  bool drop_class_token = true;  ///< vision_feature_select_strategy "default"; false for "full"
  Activation projector_activation = Activation::kGelu;
  bool projector_bias = true;
  int64_t max_tiles = 9;  ///< OneVision

  /// `family`: by config.json's architecture; not kOriginal.
  static LlavaConfig read(const JsonFields& config, Family family);
  /// The original layout, where the tower has a configuration of its own.
  static LlavaConfig read_original(const JsonFields& config, const ClipVisionConfig& vision);
  bool has_class_token() const { return !vision.siglip; }
  /// Whether images are cut into tiles.
  bool has_tiles() const { return family == Family::kNext || family == Family::kOnevision; }
  /// Features that one view gives.
  int64_t view_features() const {
    return vision.patches() + (has_class_token() ? 1 : 0) - (drop_class_token ? 1 : 0);
  }
};

}  // namespace elastikv
