#include "models/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <string_view>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/nearest_name.h"
#include "image/picture.h"
#include "image/processor_fields.h"

namespace elastikv {
namespace {

/// Beyond any model's: products of two such numbers and of a number of layers stay in range.
constexpr int64_t kMostSize = int64_t{1} << 22;
constexpr int64_t kMostLayers = 4096;
// Of a context. A rotary table holds every position, so that more would take gigabytes.
constexpr int64_t kMostTokens = int64_t{1} << 24;
constexpr int64_t kMostPatchSide = 1024;  // also of other squares, and of channels

int64_t positive(const JsonFields& config, std::string_view key, int64_t otherwise,
                 int64_t most = kMostSize) {
  const int64_t value = config.integer(key, otherwise);
  if (value < 1)
    config.fail_key(key, fmt::format("is {}, a number of at least 1 is needed", value));
  if (value > most) {
    config.fail_key(key, fmt::format("is {}, a number of at most {} is needed", value, most));
  }
  return value;
}

/// Required unless there is a value for a key that is missing.
double positive_number(const JsonFields& config, std::string_view key,
                       std::optional<double> otherwise = std::nullopt) {
  const double value = otherwise ? config.number(key, *otherwise) : config.number(key);
  if (!(value > 0) || !std::isfinite(value)) {
    config.fail_key(key, fmt::format("is {}, a number above 0 is needed", value));
  }
  return value;
}

/// The numbers of a list, cut to whole ones.
std::vector<int64_t> integers(const JsonFields& config, std::string_view key) {
  const std::vector<double> numbers = config.numbers(key);
  for (const double number : numbers) {
    if (!(std::abs(number) <= static_cast<double>(kMostSize))) {
      config.fail_key(key,
                      fmt::format("holds {}, a number of at most {} is needed", number, kMostSize));
    }
  }
  return {numbers.begin(), numbers.end()};
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

/// rope_theta at the top (transformers 4), or in rope_parameters (transformers 5), which may also
/// ask for scaling.
RotaryRule read_rope(const JsonFields& config, double default_theta) {
  RotaryRule rule;
  rule.theta = positive_number(config, "rope_theta", default_theta);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.has(key)) continue;
    const JsonFields rope = config.object(key);
    const std::string type = rope.string("rope_type", rope.string("type", "default"));
    rule.theta = positive_number(rope, "rope_theta", rule.theta);
    if (rope.has("mrope_section")) {
      rule.sections = integers(rope, "mrope_section");
    }
    if (type == "linear") {
      rule.linear_factor = positive_number(rope, "factor");
    } else if (type == "llama3") {
      RotaryRule::Llama3 llama3;
      llama3.factor = positive_number(rope, "factor");
      llama3.low_frequency_factor = positive_number(rope, "low_freq_factor");
      llama3.high_frequency_factor = positive_number(rope, "high_freq_factor");
      if (llama3.high_frequency_factor <= llama3.low_frequency_factor) {
        rope.fail_key("high_freq_factor",
                      fmt::format("is {}, more than low_freq_factor {} is needed",
                                  llama3.high_frequency_factor, llama3.low_frequency_factor));
      }
      llama3.original_positions =
          positive(rope, "original_max_position_embeddings",
                   rope.integer("original_max_position_embeddings"), kMostTokens);
      rule.llama3 = llama3;
    } else if (type != "default" && type != "mrope") {
      rope.fail_key(
          "rope_type",
          fmt::format("is '{}'; default, mrope, linear and llama3 are computed here", type));
    }
  }
  return rule;
}

/// What a decoder's class in transformers takes for fields that its config.json leaves out.
struct DecoderDefaults {
  std::string_view type;
  LlamaConfig config;
  double theta = 10000;
  bool head_dim_of_its_own = false;  // else hidden_size / heads
  bool kv_heads_of_its_own = false;  // else as many as query heads
  int64_t sliding_window = 0;        // 0: only where use_sliding_window asks for it
};

const std::vector<DecoderDefaults>& decoder_defaults() {
  static const std::vector<DecoderDefaults> all = [] {
    LlamaConfig mistral;
    mistral.intermediate_size = 14336;
    mistral.kv_heads = 8;
    mistral.max_positions = int64_t{4096} * 32;
    LlamaConfig qwen2;
    qwen2.vocab_size = 151936;
    qwen2.intermediate_size = 22016;
    qwen2.max_positions = 32768;
    LlamaConfig qwen3 = qwen2;
    qwen2.qkv_bias = true;
    qwen3.qk_norm = true;
    LlamaConfig qwen2_vl = qwen2;
    qwen2_vl.vocab_size = 152064;
    qwen2_vl.hidden_size = 8192;
    qwen2_vl.intermediate_size = 29568;
    qwen2_vl.layers = 80;
    qwen2_vl.query_heads = 64;
    qwen2_vl.kv_heads = 8;
    qwen2_vl.rms_norm_eps = 1e-5;
    return std::vector<DecoderDefaults>{
        {"llama", LlamaConfig{}},
        {"mistral", mistral, 10000, false, true, 4096},
        {"qwen2", qwen2, 10000, false, true},
        {"qwen3", qwen3, 10000, true, true},
        {"qwen2_vl", qwen2_vl, 1e6, false, true},
        {"qwen2_vl_text", qwen2_vl, 1e6, false, true},
        {"qwen2_5_vl", qwen2_vl, 1e6, false, true},
        {"qwen2_5_vl_text", qwen2_vl, 1e6, false, true},
    };
  }();
  return all;
}

const DecoderDefaults& defaults_of(const JsonFields& config, std::string_view type) {
  const std::string named = config.string("model_type", type);
  std::vector<std::string> known;
  for (const DecoderDefaults& defaults : decoder_defaults()) {
    if (defaults.type == named) return defaults;
    known.emplace_back(defaults.type);
  }
  config.fail_key("model_type", fmt::format("is '{}', a decoder that is not computed here{}", named,
                                            suggestion(named, known)));
}

/// Tokens that a sliding window sees; 0 without one.
int64_t sliding_window(const JsonFields& config, const DecoderDefaults& defaults) {
  const bool named = config.json().contains("sliding_window");
  if (defaults.sliding_window == 0) {
    if (!config.boolean("use_sliding_window", false)) return 0;
    return config.integer("sliding_window", 4096);
  }
  return named ? config.integer("sliding_window", 0) : defaults.sliding_window;
}

/// One integer, or a list of equal ones ([336, 336]).
int64_t square_side(const JsonFields& config, std::string_view key, int64_t otherwise,
                    int64_t most = kMostPatchSide) {
  if (!config.has(key) || !config.json()[std::string(key)].is_array())
    return positive(config, key, otherwise, most);
  const std::vector<double> sides = config.numbers(key);
  if (sides.size() != 2 || sides[0] != sides[1] || sides[0] < 1 ||
      sides[0] > static_cast<double>(most)) {
    config.fail_key(key, fmt::format("is {}, a number or two equal ones are needed",
                                     config.json()[std::string(key)].dump()));
  }
  return static_cast<int64_t>(sides[0]);
}

int64_t read_image_token(const JsonFields& config, int64_t otherwise, int64_t vocabulary) {
  const char* key = config.has("image_token_id") ? "image_token_id" : "image_token_index";
  const int64_t token = config.integer(key, otherwise);
  if (token < 0 || token >= vocabulary) {
    config.fail_key(key, fmt::format("is {}, outside the vocabulary of {}", token, vocabulary));
  }
  return token;
}

}  // namespace

LlamaConfig LlamaConfig::read(const JsonFields& config, std::string_view type) {
  const DecoderDefaults& defaults = defaults_of(config, type);
  LlamaConfig c = defaults.config;
  c.vocab_size = positive(config, "vocab_size", c.vocab_size);
  c.hidden_size = positive(config, "hidden_size", c.hidden_size);
  c.intermediate_size = positive(config, "intermediate_size", c.intermediate_size);
  c.layers = positive(config, "num_hidden_layers", c.layers, kMostLayers);
  c.query_heads = positive(config, "num_attention_heads", c.query_heads);
  c.kv_heads =
      positive(config, "num_key_value_heads",
               defaults.kv_heads_of_its_own && !config.json().contains("num_key_value_heads")
                   ? c.kv_heads
                   : c.query_heads);
  c.head_dim = positive(config, "head_dim",
                        defaults.head_dim_of_its_own ? c.head_dim : c.hidden_size / c.query_heads);
  c.max_positions = positive(config, "max_position_embeddings", c.max_positions, kMostTokens);
  c.rms_norm_eps = config.number("rms_norm_eps", c.rms_norm_eps);
  c.rope = read_rope(config, defaults.theta);
  if (const int64_t window = sliding_window(config, defaults); window > 0)
    c.max_positions = std::min(c.max_positions, window);
  if (defaults.type == "llama" || defaults.type == "qwen3") {
    c.qkv_bias = c.output_bias = config.boolean("attention_bias", false);
  }
  if (defaults.type == "llama") c.mlp_bias = config.boolean("mlp_bias", false);
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
  if (c.head_dim * c.query_heads > kMostSize) {
    config.fail_key("head_dim", fmt::format("is {}, which with num_attention_heads {} makes more "
                                            "than {}",
                                            c.head_dim, c.query_heads, kMostSize));
  }
  if (!c.rope.sections.empty() && std::accumulate(c.rope.sections.begin(), c.rope.sections.end(),
                                                  int64_t{0}) != c.head_dim / 2) {
    config.fail_key("rope_scaling", fmt::format("has mrope_section [{}], which is not half of "
                                                "head_dim {} in all",
                                                fmt::join(c.rope.sections, ", "), c.head_dim));
  }
  return c;
}

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
  c.hidden_size = positive(config, "hidden_size", c.hidden_size);
  c.intermediate_size = positive(config, "intermediate_size", c.intermediate_size);
  c.layers = positive(config, "num_hidden_layers", c.layers, kMostLayers);
  c.heads = positive(config, "num_attention_heads", c.heads);
  c.channels = positive(config, "num_channels", c.channels, kMostPatchSide);
  c.image_size = square_side(config, "image_size", c.image_size, kMaxPictureSide);
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

namespace {

/// What LLaVA's own code writes into a prompt's ids for a picture.
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
      c.feature_layers = integers(config, kKey);
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
  // The image processor's own list is what pictures are cut by; this one only has to be sound.
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

Idefics3Config Idefics3Config::read(const JsonFields& config) {
  Idefics3Config c;
  if (config.has("text_config")) {
    c.text = LlamaConfig::read(config.object("text_config"));
  } else {
    c.text.rms_norm_eps = 1e-5;
  }
  c.vision = ClipVisionConfig::read(config.object("vision_config"));
  c.vision.siglip = true;
  c.scale_factor = positive(config, "scale_factor", c.scale_factor, kMostPatchSide);
  if (c.vision.patches_per_side() % c.scale_factor != 0) {
    config.fail_key("scale_factor",
                    fmt::format("is {}, which does not divide the {} patches of a side",
                                c.scale_factor, c.vision.patches_per_side()));
  }
  c.image_token = read_image_token(config, c.image_token, c.text.vocab_size);
  c.text.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  return c;
}

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
  v.layers = positive(vision, "depth", v.layers, kMostLayers);
  v.heads = positive(vision, "num_heads", v.heads);
  v.channels = positive(vision, "in_channels",
                        positive(vision, "in_chans", v.channels, kMostPatchSide), kMostPatchSide);
  v.patch_size = square_side(vision, "patch_size", positive(vision, "spatial_patch_size", 14));
  v.temporal_patch_size = square_side(vision, "temporal_patch_size", v.temporal_patch_size);
  v.merge_size = positive(vision, "spatial_merge_size", v.merge_size, kMostPatchSide);
  int64_t out = 0;
  if (windows) {
    v.hidden_size = positive(vision, "hidden_size", 3584);
    v.intermediate_size = positive(vision, "intermediate_size", 3420);
    v.activation = read_activation(vision, "hidden_act", "silu");
    v.window_size = positive(vision, "window_size", 112);
    out = positive(vision, "out_hidden_size", 3584);
    v.full_attention_blocks = {7, 15, 23, 31};
    if (vision.has("fullatt_block_indexes")) {
      v.full_attention_blocks = integers(vision, "fullatt_block_indexes");
    }
    if (v.window_size / v.merge_size / v.patch_size < 1) {
      vision.fail_key("window_size", fmt::format("is {}, less than {} patches of {} pixels",
                                                 v.window_size, v.merge_size, v.patch_size));
    }
  } else {
    v.hidden_size = positive(vision, "embed_dim", v.hidden_size);
    const double ratio = vision.number("mlp_ratio", 4);
    if (!(ratio * static_cast<double>(v.hidden_size) >= 1 && ratio <= 1024)) {
      vision.fail_key("mlp_ratio",
                      fmt::format("is {}, more than 0 and at most 1024 is needed", ratio));
    }
    v.intermediate_size = static_cast<int64_t>(static_cast<double>(v.hidden_size) * ratio);
    v.activation = read_activation(vision, "hidden_act", "quick_gelu");
    // The decoder's size under the name that other towers give their own.
    out = positive(vision, "hidden_size", 3584);
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

namespace {

/// The decoder of Qwen's first generation.
LlamaConfig read_qwen_decoder(const JsonFields& config) {
  LlamaConfig c;
  c.vocab_size = positive(config, "vocab_size", 151936);
  c.hidden_size = positive(config, "hidden_size", 4096);
  c.layers = positive(config, "num_hidden_layers", 32, kMostLayers);
  c.query_heads = c.kv_heads = positive(config, "num_attention_heads", 32);
  c.head_dim = positive(config, "kv_channels", 128);
  c.max_positions = positive(config, "max_position_embeddings", 8192, kMostTokens);
  c.rms_norm_eps = config.number("layer_norm_epsilon", 1e-6);
  c.rope.theta = config.number("rotary_emb_base", 10000);
  c.qkv_bias = true;
  c.output_bias = c.mlp_bias = !config.boolean("no_bias", true);
  c.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  c.trained_length = positive(config, "seq_length", 2048, kMostTokens);
  c.dynamic_ntk = config.boolean("use_dynamic_ntk", true);
  c.logn_attention = config.boolean("use_logn_attn", true);
  // One number for both halves of the gated MLP.
  const int64_t both = positive(config, "intermediate_size", 22016);
  c.intermediate_size = both / 2;
  if (both % 2 != 0) {
    config.fail_key("intermediate_size",
                    fmt::format("is {}, an even number is needed (of w1 and w2 together)", both));
  }
  if (c.head_dim * c.query_heads != c.hidden_size) {
    config.fail_key("kv_channels",
                    fmt::format("is {}, which times num_attention_heads {} is not hidden_size {}",
                                c.head_dim, c.query_heads, c.hidden_size));
  }
  if (c.head_dim % 2 != 0 || c.head_dim < 4) {
    config.fail_key("kv_channels",
                    fmt::format("is {}, an even number of at least 4 is needed", c.head_dim));
  }
  if (const double part = config.number("rotary_pct", 1); part != 1) {
    config.fail_key("rotary_pct",
                    fmt::format("is {}; 1, all of a head, is what is computed here", part));
  }
  if (c.logn_attention && c.trained_length < 2) {
    config.fail_key("seq_length", "is 1, at least 2 is needed with use_logn_attn");
  }
  if (!config.boolean("scale_attn_weights", true))
    config.fail_key("scale_attn_weights", "is false, which is not computed here");
  return c;
}

}  // namespace

QwenVlConfig QwenVlConfig::read(const JsonFields& config) {
  QwenVlConfig c;
  c.text = read_qwen_decoder(config);
  const JsonFields visual = config.object("visual");
  Vision& v = c.vision;
  v.width = positive(visual, "width", v.width);
  v.layers = positive(visual, "layers", v.layers, kMostLayers);
  v.heads = positive(visual, "heads", v.heads);
  v.image_size = positive(visual, "image_size", v.image_size);
  v.patch_size = positive(visual, "patch_size", v.patch_size, kMostPatchSide);
  v.queries = positive(visual, "n_queries", v.queries);
  const double ratio = visual.number("mlp_ratio", 4.9231);
  if (!(ratio * static_cast<double>(v.width) >= 1 && ratio <= 1024)) {
    visual.fail_key("mlp_ratio",
                    fmt::format("is {}, more than 0 and at most 1024 is needed", ratio));
  }
  v.mlp_size = static_cast<int64_t>(static_cast<double>(v.width) * ratio);
  v.out = positive(visual, "output_dim", c.text.hidden_size);
  constexpr int64_t kHeadDim = 128;  // of the resampler, whatever its size
  v.out_heads = v.out / kHeadDim;
  if (v.width % v.heads != 0) {
    visual.fail_key("heads",
                    fmt::format("is {}, which does not divide width {}", v.heads, v.width));
  }
  if (v.patch_size > v.image_size) {
    visual.fail_key("patch_size",
                    fmt::format("is {}, more than image_size {}", v.patch_size, v.image_size));
  }
  if (v.image_size > kMaxPictureSide) {
    visual.fail_key("image_size",
                    fmt::format("is {}, at most {} is computed", v.image_size, kMaxPictureSide));
  }
  if (const double side = std::sqrt(static_cast<double>(v.queries)); side != std::floor(side)) {
    visual.fail_key("n_queries", fmt::format("is {}, a square number is needed", v.queries));
  }
  if (v.out != c.text.hidden_size) {
    visual.fail_key("output_dim", fmt::format("is {}, the decoder's hidden_size is {}", v.out,
                                              c.text.hidden_size));
  }
  if (v.out_heads < 1 || v.out % v.out_heads != 0) {
    visual.fail_key("output_dim",
                    fmt::format("is {}; a multiple of {}, the size of the resampler's heads, is "
                                "needed",
                                v.out, kHeadDim));
  }
  const int64_t image_start = visual.integer("image_start_id");
  if (image_start < 0 || image_start + 2 >= c.text.vocab_size) {
    visual.fail_key("image_start_id",
                    fmt::format("is {}; it and the two ids behind it must lie in the vocabulary of "
                                "{}",
                                image_start, c.text.vocab_size));
  }
  c.image_token = image_start + 2;
  return c;
}

std::vector<int64_t> read_end_tokens(const std::filesystem::path& folder,
                                     const JsonFields& config) {
  const auto read = [](const JsonFields& fields) {
    std::vector<int64_t> tokens;
    if (!fields.has("eos_token_id")) return tokens;
    if (fields.json()["eos_token_id"].is_array()) {
      tokens = integers(fields, "eos_token_id");
    } else {
      tokens.push_back(fields.integer("eos_token_id"));
    }
    return tokens;
  };
  std::vector<int64_t> tokens;
  const std::filesystem::path generation = folder / "generation_config.json";
  if (path_exists(generation)) tokens = read(JsonFields::read(generation));
  if (tokens.empty()) tokens = read(config);
  if (tokens.empty() && config.has("text_config")) tokens = read(config.object("text_config"));
  return tokens;
}

}  // namespace elastikv
