#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fields.h"
#include "kernels/rotary.h"

namespace elastikv {

/// config.json of a decoder of LLaMA's structure: LLaMA, Mistral, Qwen2, Qwen3 and the decoders
/// inside Qwen2-VL and Qwen2.5-VL. A missing field takes the value of the type's class in
/// transformers.
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
  RotaryRule rope;
  bool qkv_bias = false;
  bool output_bias = false;  ///< of the attention's last product
  bool mlp_bias = false;
  bool qk_norm = false;  ///< queries and keys are normalized per head before they are rotated
  bool tie_word_embeddings = false;
  /// Qwen's first generation: what a text longer than so many tokens changes; both flags need it.
  int64_t trained_length = 0;
  /// A longer prompt is rotated by a larger theta: times alpha^(head_dim / (head_dim - 2)), alpha =
  /// 2^(n + 1) - 1 for a prompt that takes n doublings of trained_length to hold.
  bool dynamic_ntk = false;
  /// Queries of tokens behind it are multiplied by log(index + 1) / log(trained_length).
  bool logn_attention = false;

  /// Reads by the field model_type, or as `type` where that is missing. Error for a field of the
  /// wrong kind, for sizes that do not fit each other, and for what is not computed here
  /// (activations other than silu, other scalings of rotary embeddings than linear and llama3). A
  /// sliding window is no error, but ends the context: up to there it changes nothing.
  static LlamaConfig read(const JsonFields& config, std::string_view type = "llama");
  /// Bytes of keys and values that one token takes, at `element_bytes` per number.
  int64_t cache_bytes_per_token(int64_t element_bytes) const {
    return 2 * layers * kv_heads * head_dim * element_bytes;
  }
};

enum class Activation { kGelu, kGeluTanh, kQuickGelu, kSilu };

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
};

/// config.json of LLaVA, LLaVA-NeXT or LLaVA-OneVision; missing fields as in transformers'
/// LlavaConfig, LlavaNextConfig and LlavaOnevisionConfig, or in the original LLaVA's code.
struct LlavaConfig {
  enum class Family {
    kLlava,
    kNext,  ///< the whole picture and tiles, without what padded them, a newline after each row
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
  /// Whether pictures are cut into tiles.
  bool has_tiles() const { return family == Family::kNext || family == Family::kOnevision; }
  /// Features that one view gives.
  int64_t view_features() const {
    return vision.patches() + (has_class_token() ? 1 : 0) - (drop_class_token ? 1 : 0);
  }
};

/// config.json of Idefics3 and SmolVLM (model_type idefics3, smolvlm).
struct Idefics3Config {
  LlamaConfig text;
  ClipVisionConfig vision;
  int64_t scale_factor = 2;  ///< so many patches by so many become one token
  int64_t image_token = 128257;

  static Idefics3Config read(const JsonFields& config);
  int64_t tokens_per_view() const { return vision.patches() / (scale_factor * scale_factor); }
};

/// config.json of Qwen2-VL and Qwen2.5-VL.
struct Qwen2VlConfig {
  struct Vision {
    int64_t hidden_size = 1280;
    int64_t intermediate_size = 5120;
    int64_t layers = 32;
    int64_t heads = 16;
    int64_t channels = 3;
    int64_t patch_size = 14;
    int64_t temporal_patch_size = 2;
    int64_t merge_size = 2;  ///< so many patches by so many become one token
    Activation activation = Activation::kQuickGelu;
    double rope_theta = 10000;
    /// Qwen2.5-VL: RMS norms, a gated MLP, and attention within windows of so many pixels except in
    /// the blocks listed; 0 for Qwen2-VL.
    int64_t window_size = 0;
    std::vector<int64_t> full_attention_blocks;
  };
  LlamaConfig text;
  Vision vision;
  int64_t image_token = 151655;

  static Qwen2VlConfig read(const JsonFields& config);
};

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
    int64_t queries = 256;   ///< of the resampler: so many features become of a picture
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

/// The token ids that end a text: generation_config.json's eos_token_id (a number or a list), else
/// config.json's, its text_config's, else none.
std::vector<int64_t> read_end_tokens(const std::filesystem::path& folder, const JsonFields& config);

}  // namespace elastikv
