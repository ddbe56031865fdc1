#include "models/clip_vision_config.h"

#include <fmt/format.h>

#include "base/nearest_name.h"
#include "image/image.h"
#include "models/config_fields.h"

namespace elastikv {

ClipVisionConfig ClipVisionConfig::read(const JsonFields& config) {
  ClipVisionConfig c;
  const std::string type = config.string("model_type", "clip_vision_model");
  c.siglip = type != "clip_vision_model";
  const bool idefics3 = type == "idefics3" || type == "idefics3_vision" || type == "smolvlm_vision";
  if (type == "siglip_vision_model") {
    c.patch_size = 16;
  } else if (idefics3) {
    c.hidden_size = 1152;
    c.heads = 16;
  } else if (c.siglip) {
    config.fail_key("model_type",
                    fmt::format("is '{}', a vision tower that is not computed here{}", type,
                                suggestion(type, {"clip_vision_model", "siglip_vision_model",
                                                  "idefics3_vision", "smolvlm_vision"})));
  }
  if (c.siglip) {
    c.layer_norm_eps = 1e-6;
    c.activation = Activation::kGeluTanh;
  }
  c.hidden_size = positive_integer(config, "hidden_size", c.hidden_size);
  c.intermediate_size = positive_integer(config, "intermediate_size", c.intermediate_size);
  c.layers = positive_integer(config, "num_hidden_layers", c.layers, kMostLayers);
  c.heads = positive_integer(config, "num_attention_heads", c.heads);
  c.channels = positive_integer(config, "num_channels", c.channels, kMostPatchSide);
  c.image_size = square_side(config, "image_size", c.image_size, kMaxImageSide);
  c.patch_size = square_side(config, "patch_size", c.patch_size);
  c.layer_norm_eps = config.number("layer_norm_eps", c.layer_norm_eps);
  c.activation =
      read_activation(config, "hidden_act", c.siglip ? "gelu_pytorch_tanh" : "quick_gelu");
  if (c.hidden_size % c.heads != 0) {
    config.fail_key(
        "num_attention_heads",
        fmt::format("is {}, which does not divide hidden_size {}", c.heads, c.hidden_size));
  }
  if (c.patch_size > c.image_size) {
    config.fail_key("patch_size",
                    fmt::format("is {}, more than image_size {}", c.patch_size, c.image_size));
  }
  return c;
}

std::string ClipVisionConfig::summary() const {
  return fmt::format("{}, {} layers, hidden {}, {} heads, {} px in patches of {}",
                     siglip ? "SigLIP" : "CLIP", layers, hidden_size, heads, image_size,
                     patch_size);
}

}  // namespace elastikv
