#include "models/qwen2_vl/config.h"

#include <fmt/ranges.h>

#include "models/config_fields.h"

namespace elastikv {

Qwen2VlConfig Qwen2VlConfig::read(const JsonFields& config) {
  Qwen2VlConfig c;
  // Published files keep the decoder's fields at the top, transformers 5 writes a text_config.
  const bool nested = config.has("text_config");
  c.text = LlamaConfig::read(nested ? config.object("text_config") : config, "qwen2_vl");
  const int64_t half = c.text.head_dim / 2;
  if (c.text.rope.sections.empty()) {
    config.fail_key(nested ? "text_config.rope_scaling" : "rope_scaling",
                    fmt::format("has no mrope_section (three numbers of sum {} are needed)", half));
  }
  if (c.text.rope.axes() != 3) {
    config.fail_key("rope_scaling", fmt::format("has mrope_section [{}], three numbers are needed",
                                                fmt::join(c.text.rope.sections, ", ")));
  }
  const JsonFields vision = config.object_or_empty("vision_config");
  Vision& v = c.vision;
  const bool windows = config.string("model_type", "qwen2_vl").starts_with("qwen2_5");
  v.layers = positive_integer(vision, "depth", v.layers, kMostLayers);
  v.heads = positive_integer(vision, "num_heads", v.heads);
  v.channels = positive_integer(vision, "in_channels",
                                positive_integer(vision, "in_chans", v.channels, kMostPatchSide),
                                kMostPatchSide);
  v.patch_size =
      square_side(vision, "patch_size", positive_integer(vision, "spatial_patch_size", 14));
  v.temporal_patch_size = square_side(vision, "temporal_patch_size", v.temporal_patch_size);
  v.merge_size = positive_integer(vision, "spatial_merge_size", v.merge_size, kMostPatchSide);
  int64_t out = 0;
  if (windows) {
    v.hidden_size = positive_integer(vision, "hidden_size", 3584);
    v.intermediate_size = positive_integer(vision, "intermediate_size", 3420);
    v.activation = read_activation(vision, "hidden_act", "silu");
    v.window_size = positive_integer(vision, "window_size", 112);
    out = positive_integer(vision, "out_hidden_size", 3584);
    v.full_attention_blocks = {7, 15, 23, 31};
    if (vision.has("fullatt_block_indexes")) {
      v.full_attention_blocks = whole_numbers(vision, "fullatt_block_indexes");
    }
    if (v.window_size / v.merge_size / v.patch_size < 1) {
      vision.fail_key("window_size", fmt::format("is {}, less than {} patches of {} pixels",
                                                 v.window_size, v.merge_size, v.patch_size));
    }
  } else {
    v.hidden_size = positive_integer(vision, "embed_dim", v.hidden_size);
    const double ratio = vision.number("mlp_ratio", 4);
    if (!(ratio * static_cast<double>(v.hidden_size) >= 1 && ratio <= 1024)) {
      vision.fail_key("mlp_ratio",
                      fmt::format("is {}, more than 0 and at most 1024 is needed", ratio));
    }
    v.intermediate_size = static_cast<int64_t>(static_cast<double>(v.hidden_size) * ratio);
    v.activation = read_activation(vision, "hidden_act", "quick_gelu");
    // The decoder's size under the name that other towers give their own.
    out = positive_integer(vision, "hidden_size", 3584);
  }
  if (out != c.text.hidden_size) {
    vision.fail_key(windows ? "out_hidden_size" : "hidden_size",
                    fmt::format("is {}, the decoder's hidden_size is {}", out, c.text.hidden_size));
  }
  if (v.hidden_size % (4 * v.heads) != 0) {
    vision.fail_key("num_heads", fmt::format("is {}; {} wide heads of a multiple of 4 are needed",
                                             v.heads, v.hidden_size));
  }
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (vision.has(key)) v.rope_theta = vision.object(key).number("rope_theta", v.rope_theta);
  }
  c.image_token = read_image_token(config, c.image_token, c.text.vocab_size);
  c.text.tie_word_embeddings =
      c.text.tie_word_embeddings || config.boolean("tie_word_embeddings", false);
  return c;
}

}  // namespace elastikv
