#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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
  /// "30 layers, hidden 576, 9 query and 3 KV heads of 64, vocabulary 49152".
  std::string summary() const;
};

}  // namespace elastikv
