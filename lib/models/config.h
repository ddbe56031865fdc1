#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json_fields.h"

namespace elastikv {

/// config.json of a LLaMA decoder; a missing field takes the value of transformers' LlamaConfig.
struct LlamaConfig {
  int64_t vocab_size = 32000;
  int64_t hidden_size = 4096;
  int64_t intermediate_size = 11008;
  int64_t layers = 32;
  int64_t query_heads = 32;
  int64_t kv_heads = 32;
  int64_t head_dim = 128;
  int64_t max_positions = 2048;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool tie_word_embeddings = false;

  /// Error for a field of the wrong kind, for sizes that do not fit each other, and for what is not
  /// computed here (activations other than silu, scaled rotary embeddings).
  static LlamaConfig read(const JsonFields& config);
  /// Bytes of keys and values that one token takes, at `element_bytes` per number.
  int64_t cache_bytes_per_token(int64_t element_bytes) const {
    return 2 * layers * kv_heads * head_dim * element_bytes;
  }
};

enum class Activation { kGelu, kGeluTanh, kQuickGelu, kSilu };

/// config.json of a CLIP vision tower; missing fields as in transformers' CLIPVisionConfig.
struct ClipVisionConfig {
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
  int64_t patches() const { return (image_size / patch_size) * (image_size / patch_size); }
};

/// config.json of LLaVA; missing fields as in transformers' LlavaConfig.
struct LlavaConfig {
  LlamaConfig text;
  ClipVisionConfig vision;
  int64_t image_token = 32000;
  std::vector<int64_t> feature_layers{-2};  ///< concatenated when more than one
  bool drop_class_token = true;  ///< vision_feature_select_strategy "default"; false for "full"
  Activation projector_activation = Activation::kGelu;
  bool projector_bias = true;

  static LlavaConfig read(const JsonFields& config);
  int64_t image_tokens() const { return vision.patches() + (drop_class_token ? 0 : 1); }
};

/// The token ids that end a text: generation_config.json's eos_token_id (a number or a list), else
/// config.json's, its text_config's, else none.
std::vector<int64_t> read_end_tokens(const std::filesystem::path& folder, const JsonFields& config);

}  // namespace elastikv
