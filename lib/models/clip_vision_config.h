#pragma once

#include <cstdint>
#include <string>

#include "base/json_fields.h"
#include "models/activation.h"

namespace elastikv {

/// config.json of a CLIP or SigLIP vision tower; missing fields as in transformers'
/// CLIPVisionConfig, SiglipVisionConfig and Idefics3VisionConfig.
struct ClipVisionConfig {
  /// What SigLIP's tower does not have, or has at the other end.
  bool siglip =
      false;  ///< no class token, no norm before the blocks, a bias in the patch embedding
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t channels = 3;
  int64_t image_size = 224;
  int64_t patch_size = 32;
  double layer_norm_eps = 1e-5;
  Activation activation = Activation::kQuickGelu;

  static ClipVisionConfig read(const JsonFields& config);
  int64_t patches_per_side() const { return image_size / patch_size; }
  int64_t patches() const { return patches_per_side() * patches_per_side(); }
  /// "CLIP, 24 layers, hidden 1024, 16 heads, 336 px in patches of 14".
  std::string summary() const;
};

}  // namespace elastikv
