#include "models/config.h"

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/nearest_name.h"

namespace elastikv {
namespace {

int64_t positive(const JsonFields& config, std::string_view key, int64_t otherwise) {
  const int64_t value = config.integer(key, otherwise);
  if (value < 1)
    config.fail_key(key, fmt::format("is {}, a number of at least 1 is needed", value));
  return value;
}

Activation read_activation(const JsonFields& config, std::string_view key,
                           std::string_view otherwise) {
  const std::string name = config.string(key, otherwise);
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::kGeluTanh;
  if (name == "quick_gelu") return Activation::kQuickGelu;
  if (name == "silu" || name == "swish") return Activation::kSilu;
  config.fail_key(
      key, fmt::format("is '{}', which is not computed here{}", name,
                       suggestion(name, {"gelu", "gelu_pytorch_tanh", "quick_gelu", "silu"})));
}

void require_model_type(const JsonFields& config, std::string_view needed) {
  const std::string type = config.string("model_type", needed);
  if (type != needed)
    config.fail_key("model_type", fmt::format("is '{}', '{}' is supported here", type, needed));
}

/// rope_theta at the top (transformers 4), or in rope_parameters (transformers 5), which may also
/// ask for scaling.
double read_rope_theta(const JsonFields& config) {
  double theta = config.number("rope_theta", 10000.0);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.has(key)) continue;
    const JsonFields rope = config.object(key);
    const std::string type = rope.string("rope_type", rope.string("type", "default"));
    if (type != "default") {
      rope.fail_key(
          "rope_type",
          fmt::format("is '{}'; only unscaled rotary embeddings ('default') are computed here",
                      type));
    }
    theta = rope.number("rope_theta", theta);
  }
  return theta;
}

}  // namespace

LlamaConfig LlamaConfig::read(const JsonFields& config) {
  require_model_type(config, "llama");
  LlamaConfig c;
  c.vocab_size = positive(config, "vocab_size", c.vocab_size);
  c.hidden_size = positive(config, "hidden_size", c.hidden_size);
  c.intermediate_size = positive(config, "intermediate_size", c.intermediate_size);
  c.layers = positive(config, "num_hidden_layers", c.layers);
  c.query_heads = positive(config, "num_attention_heads", c.query_heads);
  c.kv_heads = positive(config, "num_key_value_heads", c.query_heads);
  c.head_dim = positive(config, "head_dim", c.hidden_size / c.query_heads);
  c.max_positions = positive(config, "max_position_embeddings", c.max_positions);
  c.rms_norm_eps = config.number("rms_norm_eps", c.rms_norm_eps);
  c.rope_theta = read_rope_theta(config);
  c.attention_bias = config.boolean("attention_bias", false);
  c.mlp_bias = config.boolean("mlp_bias", false);
  c.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  if (read_activation(config, "hidden_act", "silu") != Activation::kSilu) {
    config.fail_key("hidden_act", "is not silu, the activation of a LLaMA decoder");
  }
  if (c.query_heads % c.kv_heads != 0) {
    config.fail_key("num_key_value_heads",
                    fmt::format("is {}, which does not divide num_attention_heads {}", c.kv_heads,
                                c.query_heads));
  }
  if (c.head_dim % 2 != 0)
    config.fail_key("head_dim", fmt::format("is {}, an even number is needed", c.head_dim));
  return c;
}

ClipVisionConfig ClipVisionConfig::read(const JsonFields& config) {
  require_model_type(config, "clip_vision_model");
  ClipVisionConfig c;
  c.hidden_size = positive(config, "hidden_size", c.hidden_size);
  c.intermediate_size = positive(config, "intermediate_size", c.intermediate_size);
  c.layers = positive(config, "num_hidden_layers", c.layers);
  c.heads = positive(config, "num_attention_heads", c.heads);
  c.channels = positive(config, "num_channels", c.channels);
  c.image_size = positive(config, "image_size", c.image_size);
  c.patch_size = positive(config, "patch_size", c.patch_size);
  c.layer_norm_eps = config.number("layer_norm_eps", c.layer_norm_eps);
  c.activation = read_activation(config, "hidden_act", "quick_gelu");
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

LlavaConfig LlavaConfig::read(const JsonFields& config) {
  LlavaConfig c;
  c.text = LlamaConfig::read(config.object_or_empty("text_config"));
  if (config.has("vision_config")) {
    c.vision = ClipVisionConfig::read(config.object("vision_config"));
  } else {
    // LlavaConfig's own default tower: CLIP ViT-L/14 at 336 pixels.
    c.vision.hidden_size = 1024;
    c.vision.intermediate_size = 4096;
    c.vision.layers = 24;
    c.vision.heads = 16;
    c.vision.image_size = 336;
    c.vision.patch_size = 14;
  }
  c.image_token =
      config.integer("image_token_index", config.integer("image_token_id", c.image_token));
  if (c.image_token < 0 || c.image_token >= c.text.vocab_size) {
    config.fail_key("image_token_index", fmt::format("is {}, outside the vocabulary of {}",
                                                     c.image_token, c.text.vocab_size));
  }
  if (config.has("vision_feature_layer")) {
    if (config.json()["vision_feature_layer"].is_array()) {
      c.feature_layers.clear();
      for (const double layer : config.numbers("vision_feature_layer"))
        c.feature_layers.push_back(static_cast<int64_t>(layer));
      if (c.feature_layers.empty()) config.fail_key("vision_feature_layer", "is an empty list");
    } else {
      c.feature_layers = {config.integer("vision_feature_layer")};
    }
  }
  for (int64_t& layer : c.feature_layers) {
    const int64_t from_front = layer < 0 ? layer + c.vision.layers + 1 : layer;
    if (from_front < 0 || from_front > c.vision.layers) {
      config.fail_key("vision_feature_layer",
                      fmt::format("is {}; a tower of {} layers has hidden states -{} to {}", layer,
                                  c.vision.layers, c.vision.layers + 1, c.vision.layers));
    }
    layer = from_front;
  }
  const std::string select = config.string("vision_feature_select_strategy", "default");
  if (select != "default" && select != "full") {
    config.fail_key("vision_feature_select_strategy",
                    fmt::format("is '{}', 'default' or 'full' is needed", select));
  }
  c.drop_class_token = select == "default";
  c.projector_activation = read_activation(config, "projector_hidden_act", "gelu");
  c.projector_bias = config.boolean("multimodal_projector_bias", true);
  c.text.tie_word_embeddings = config.boolean("tie_word_embeddings", c.text.tie_word_embeddings);
  return c;
}

std::vector<int64_t> read_end_tokens(const std::filesystem::path& folder,
                                     const JsonFields& config) {
  const auto read = [](const JsonFields& fields) {
    std::vector<int64_t> tokens;
    if (!fields.has("eos_token_id")) return tokens;
    if (fields.json()["eos_token_id"].is_array()) {
      for (const double token : fields.numbers("eos_token_id"))
        tokens.push_back(static_cast<int64_t>(token));
    } else {
      tokens.push_back(fields.integer("eos_token_id"));
    }
    return tokens;
  };
  std::vector<int64_t> tokens;
  const std::filesystem::path generation = folder / "generation_config.json";
  if (std::filesystem::exists(generation)) tokens = read(JsonFields::read(generation));
  if (tokens.empty()) tokens = read(config);
  if (tokens.empty() && config.has("text_config")) tokens = read(config.object("text_config"));
  return tokens;
}

}  // namespace elastikv
