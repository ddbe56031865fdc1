#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/rotary.h"
#include "models/config.h"
#include "models/language_model.h"
#include "weights/weight_reader.h"

namespace elastikv {

/// LLaMA with grouped-query attention, and what shares its structure (transformers'
/// LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM).
class Llama final : public LanguageModel {
 public:
  /// `body`: scope of embed_tokens, layers, norm; `head`: scope of lm_head.
  Llama(const LlamaConfig& config, const WeightReader& body, const WeightReader& head);

  CacheShape cache_shape() const override;
  int64_t query_heads() const override { return config_.query_heads; }
  int64_t vocab_size() const override { return config_.vocab_size; }
  int64_t max_positions() const override { return config_.max_positions; }
  const RotaryTable* rotary() const override { return &rotary_; }
  at::Tensor embed(const at::Tensor& ids) const override;
  PrefillOutput prefill(const PrefillInput& input, KVCache& cache) const override;
  DecodeOutput decode(const std::vector<DecodeInput>& rows) const override;
  at::Tensor decode_chunk(const std::vector<ChunkInput>& rows,
                          const std::vector<int64_t>& tokens) const override;
  at::Tensor logits(const at::Tensor& hidden) const override;
  void unrotate_keys(KVCache& cache) const override;

 private:
  struct Layer {
    RmsNorm attention_norm;
    RmsNorm mlp_norm;
    Linear qkv;
    RmsNorm query_norm;  // with qk_norm
    RmsNorm key_norm;
    Linear out;
    Linear gate_up;
    Linear down;
  };

  /// The three parts of a layer's qkv product over x [n, hidden]: [n, heads, head_dim] each.
  struct Projections {
    at::Tensor queries;
    at::Tensor keys;
    at::Tensor values;
  };
  Projections project(const Layer& layer, const at::Tensor& x) const;
  /// What a layer's last product takes: silu(gate(x)) * up(x).
  static at::Tensor gated(const Layer& layer, const at::Tensor& x);
  double scale() const;

  LlamaConfig config_;
  c10::Device device_;
  c10::ScalarType dtype_;
  RotaryTable rotary_;
  at::Tensor embedding_;  // [vocab, hidden]
  std::vector<Layer> layers_;
  RmsNorm norm_;
  Linear head_;
};

}  // namespace elastikv
