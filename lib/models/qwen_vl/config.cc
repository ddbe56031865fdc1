#include "models/qwen_vl/config.h"

#include <cmath>

#include <fmt/format.h>

#include "image/image.h"
#include "models/config_fields.h"

namespace elastikv {
namespace {

/// The decoder of the first Qwen.
LlamaConfig read_qwen_decoder(const JsonFields& config) {
  LlamaConfig c;
  c.vocab_size = positive_integer(config, "vocab_size", 151936);
  c.hidden_size = positive_integer(config, "hidden_size", 4096);
  c.layers = positive_integer(config, "num_hidden_layers", 32, kMostLayers);
  c.query_heads = c.kv_heads = positive_integer(config, "num_attention_heads", 32);
  c.head_dim = positive_integer(config, "kv_channels", 128);
  c.max_positions = positive_integer(config, "max_position_embeddings", 8192, kMostTokens);
  c.rms_norm_eps = config.number("layer_norm_epsilon", 1e-6);
  c.rope.theta = config.number("rotary_emb_base", 10000);
  c.qkv_bias = true;
  c.output_bias = c.mlp_bias = !config.boolean("no_bias", true);
  c.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  c.trained_length = positive_integer(config, "seq_length", 2048, kMostTokens);
  c.dynamic_ntk = config.boolean("use_dynamic_ntk", true);
  c.logn_attention = config.boolean("use_logn_attn", true);
  // One number for both halves of the gated MLP.
  const int64_t both = positive_integer(config, "intermediate_size", 22016);
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
  v.width = positive_integer(visual, "width", v.width);
  v.layers = positive_integer(visual, "layers", v.layers, kMostLayers);
  v.heads = positive_integer(visual, "heads", v.heads);
  v.image_size = positive_integer(visual, "image_size", v.image_size);
  v.patch_size = positive_integer(visual, "patch_size", v.patch_size, kMostPatchSide);
  v.queries = positive_integer(visual, "n_queries", v.queries);
  const double ratio = visual.number("mlp_ratio", 4.9231);
  if (!(ratio * static_cast<double>(v.width) >= 1 && ratio <= 1024)) {
    visual.fail_key("mlp_ratio",
                    fmt::format("is {}, more than 0 and at most 1024 is needed", ratio));
  }
  v.mlp_size = static_cast<int64_t>(static_cast<double>(v.width) * ratio);
  v.out = positive_integer(visual, "output_dim", c.text.hidden_size);
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
  if (v.image_size > kMaxImageSide) {
    visual.fail_key("image_size",
                    fmt::format("is {}, at most {} is computed", v.image_size, kMaxImageSide));
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

}  // namespace elastikv
