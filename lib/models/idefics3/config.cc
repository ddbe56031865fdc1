#include "models/idefics3/config.h"

#include <fmt/format.h>

#include "models/config_fields.h"

namespace elastikv {

Idefics3Config Idefics3Config::read(const JsonFields& config) {
  Idefics3Config c;
  if (config.has("text_config")) {
    c.text = LlamaConfig::read(config.object("text_config"));
  } else {
    c.text.rms_norm_eps = 1e-5;
  }
  c.vision = ClipVisionConfig::read(config.object("vision_config"));
  c.vision.siglip = true;
  c.scale_factor = positive_integer(config, "scale_factor", c.scale_factor, kMostPatchSide);
  if (c.vision.patches_per_side() % c.scale_factor != 0) {
    config.fail_key("scale_factor",
                    fmt::format("is {}, which does not divide the {} patches of a side",
                                c.scale_factor, c.vision.patches_per_side()));
  }
  c.image_token = read_image_token(config, c.image_token, c.text.vocab_size);
  c.text.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  return c;
}

}  // namespace elastikv
