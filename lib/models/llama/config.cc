#include "models/llama/config.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/nearest_name.h"
#include "models/config_fields.h"
#include "models/rotary_config.h"

namespace elastikv {
namespace {

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

}  // namespace

LlamaConfig LlamaConfig::read(const JsonFields& config, std::string_view type) {
  const DecoderDefaults& defaults = defaults_of(config, type);
  LlamaConfig c = defaults.config;
  c.vocab_size = positive_integer(config, "vocab_size", c.vocab_size);
  c.hidden_size = positive_integer(config, "hidden_size", c.hidden_size);
  c.intermediate_size = positive_integer(config, "intermediate_size", c.intermediate_size);
  c.layers = positive_integer(config, "num_hidden_layers", c.layers, kMostLayers);
  c.query_heads = positive_integer(config, "num_attention_heads", c.query_heads);
  c.kv_heads = positive_integer(
      config, "num_key_value_heads",
      defaults.kv_heads_of_its_own && !config.json().contains("num_key_value_heads")
          ? c.kv_heads
          : c.query_heads);
  c.head_dim =
      positive_integer(config, "head_dim",
                       defaults.head_dim_of_its_own ? c.head_dim : c.hidden_size / c.query_heads);
  c.max_positions =
      positive_integer(config, "max_position_embeddings", c.max_positions, kMostTokens);
  c.rms_norm_eps = config.number("rms_norm_eps", c.rms_norm_eps);
  c.rope = read_rotary_rule(config, defaults.theta);
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

std::string LlamaConfig::summary() const {
  return fmt::format("{} layers, hidden {}, {} query and {} KV heads of {}, vocabulary {}", layers,
                     hidden_size, query_heads, kv_heads, head_dim, vocab_size);
}

}  // namespace elastikv
