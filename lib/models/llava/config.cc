#include "models/llava/config.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "image/processor_fields.h"
#include "models/config_fields.h"

namespace elastikv {
namespace {

/// What LLaVA's own code writes into a prompt's ids for an image.
constexpr int64_t kOriginalImageToken = -200;

ClipVisionConfig clip_large_336() {
  ClipVisionConfig vision;
  vision.hidden_size = 1024;
  vision.intermediate_size = 4096;
  vision.layers = 24;
  vision.heads = 16;
  vision.image_size = 336;
  vision.patch_size = 14;
  return vision;
}

/// LlavaOnevisionConfig's own default tower.
ClipVisionConfig siglip_so400m_384() {
  ClipVisionConfig vision;
  vision.siglip = true;
  vision.hidden_size = 1152;
  vision.intermediate_size = 4304;
  vision.layers = 26;
  vision.heads = 16;
  vision.image_size = 384;
  vision.patch_size = 14;
  vision.layer_norm_eps = 1e-6;
  vision.activation = Activation::kGeluTanh;
  return vision;
}

/// "anyres_max_9" -> 9.
int64_t read_max_tiles(const JsonFields& config) {
  constexpr std::string_view kPrefix = "anyres_max_";
  const std::string name = config.string("vision_aspect_ratio", "anyres_max_9");
  int64_t tiles = 0;
  const char* begin = name.data() + std::min(kPrefix.size(), name.size());
  const char* end = name.data() + name.size();
  if (!name.starts_with(kPrefix) || std::from_chars(begin, end, tiles).ptr != end || tiles < 1) {
    config.fail_key("vision_aspect_ratio",
                    fmt::format("is '{}', anyres_max_N is computed here", name));
  }
  return tiles;
}

/// Counts from the front and checks.
void resolve_feature_layers(const JsonFields& config, std::string_view key, LlavaConfig& c) {
  for (int64_t& layer : c.feature_layers) {
    const int64_t from_front = layer < 0 ? layer + c.vision.layers + 1 : layer;
    if (from_front < 0 || from_front > c.vision.layers) {
      config.fail_key(key,
                      fmt::format("is {}; a tower of {} layers has hidden states -{} to {}", layer,
                                  c.vision.layers, c.vision.layers + 1, c.vision.layers));
    }
    layer = from_front;
  }
}

void read_feature_layers(const JsonFields& config, LlavaConfig& c) {
  constexpr std::string_view kKey = "vision_feature_layer";
  if (config.has(kKey)) {
    if (config.json()[std::string(kKey)].is_array()) {
      c.feature_layers = whole_numbers(config, kKey);
      if (c.feature_layers.empty()) config.fail_key(kKey, "is an empty list");
    } else {
      c.feature_layers = {config.integer(kKey)};
    }
  }
  resolve_feature_layers(config, kKey, c);
}

}  // namespace

LlavaConfig LlavaConfig::read(const JsonFields& config, Family family) {
  LlavaConfig c;
  c.family = family;
  const bool onevision = family == Family::kOnevision;
  c.text = LlamaConfig::read(config.object_or_empty("text_config"), onevision ? "qwen2" : "llama");
  c.vision = config.has("vision_config") ? ClipVisionConfig::read(config.object("vision_config"))
                                         : (onevision ? siglip_so400m_384() : clip_large_336());
  c.image_token = read_image_token(config, onevision ? 151646 : 32000, c.text.vocab_size);
  c.feature_layers = {onevision ? -1 : -2};
  read_feature_layers(config, c);
  const std::string select =
      config.string("vision_feature_select_strategy", onevision ? "full" : "default");
  if (select != "default" && select != "full") {
    config.fail_key("vision_feature_select_strategy",
                    fmt::format("is '{}', 'default' or 'full' is needed", select));
  }
  c.drop_class_token = select == "default";
  // The image processor's own list is what images are cut by; this one only has to be sound.
  if (c.has_tiles() && config.has(kPinpointsKey)) read_pinpoints(config);
  if (onevision) c.max_tiles = read_max_tiles(config);
  c.projector_activation = read_activation(config, "projector_hidden_act", "gelu");
  c.projector_bias = config.boolean("multimodal_projector_bias", true);
  const bool tied = config.boolean("tie_word_embeddings", false);
  // Saved inside text_config by some versions; the class of LLaVA-NeXT does not look there.
  c.text.tie_word_embeddings = tied || (family != Family::kNext && c.text.tie_word_embeddings);
  return c;
}

LlavaConfig LlavaConfig::read_original(const JsonFields& config, const ClipVisionConfig& vision) {
  LlavaConfig c;
  c.family = Family::kOriginal;
  // The decoder's fields lie at the top, beside a model_type that is LLaVA's.
  nlohmann::json decoder = config.json();
  decoder.erase("model_type");
  c.text = LlamaConfig::read(JsonFields(std::move(decoder), config.origin()));
  c.vision = vision;
  c.image_token = kOriginalImageToken;
  c.feature_layers = {config.integer("mm_vision_select_layer", -2)};
  resolve_feature_layers(config, "mm_vision_select_layer", c);
  const std::string select = config.string("mm_vision_select_feature", "patch");
  if (select != "patch" && select != "cls_patch") {
    config.fail_key("mm_vision_select_feature",
                    fmt::format("is '{}', 'patch' or 'cls_patch' is needed", select));
  }
  c.drop_class_token = select == "patch";
  const std::string projector = config.string("mm_projector_type", "linear");
  if (projector != "mlp2x_gelu") {
    config.fail_key("mm_projector_type",
                    fmt::format("is '{}'; mlp2x_gelu, LLaVA-1.5's, is computed here", projector));
  }
  for (const char* key : {"mm_use_im_start_end", "mm_use_im_patch_token"}) {
    if (config.boolean(key, false))
      config.fail_key(key, "is true, which LLaVA-1.5 does not do and is not computed here");
  }
  return c;
}

}  // namespace elastikv
