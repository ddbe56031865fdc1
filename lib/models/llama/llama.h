#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/rotary.h"
#include "models/language_model.h"
#include "models/llama/config.h"
#include "weights/weight_reader.h"

namespace elastikv {

/// How a checkpoint names a decoder's tensors, those of its layers within "LAYERS.N.".
struct LlamaNames {
  const char* embedding = "embed_tokens";
  const char* layers = "layers";
  const char* attention_norm = "input_layernorm";
  const char* mlp_norm = "post_attention_layernorm";
  /// The matrices whose outputs, put together, are queries, keys and values, in this order.
  std::vector<const char*> qkv{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
  const char* out = "self_attn.o_proj";
  const char* gate = "mlp.gate_proj";  ///< the one that silu is applied to
  const char* up = "mlp.up_proj";
  const char* down = "mlp.down_proj";
  const char* norm = "norm";
};

/// LLaMA with grouped-query attention, and what shares its structure (transformers'
/// LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM; QWenLMHeadModel).
class Llama final : public LanguageModel {
 public:
  /// `body`: scope of embedding, layers and norm; `head`: scope of lm_head.
  Llama(const LlamaConfig& config, const WeightReader& body, const WeightReader& head,
        const LlamaNames& names = {});

  CacheShape cache_shape() const override;
  int64_t query_heads() const override { return config_.query_heads; }
  int64_t vocab_size() const override { return config_.vocab_size; }
  int64_t max_positions() const override { return config_.max_positions; }
  const RotaryTable* rotary(const KVCache& cache) const override {
    return &rotary_[static_cast<size_t>(cache.rotary_table())];
  }
  at::Tensor embed(const at::Tensor& ids) const override;
  PrefillOutput prefill(const PrefillInput& input, KVCache& cache) const override;
  using LanguageModel::decode;
  DecodeOutput decode(const std::vector<DecodeInput>& rows, DecodeGraphs* graphs) const override;
  at::Tensor decode_chunk(const std::vector<ChunkInput>& rows,
                          const LayerWatch& on_layer) const override;
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
  /// `product`: of qkv; `query_scales`: on_device() for its tokens.
  Projections heads_of(const Layer& layer, const at::Tensor& product,
                       const at::Tensor& query_scales) const;
  Projections project(const Layer& layer, const at::Tensor& x,
                      const at::Tensor& query_scales) const;
  /// Which of rotary_ a prompt of so many tokens is rotated by.
  int64_t rotary_table(int64_t prompt_tokens) const;
  /// What the queries of the tokens of these indices are multiplied by, [n]; empty where that is 1
  /// for all.
  std::vector<float> query_scales(const std::vector<int64_t>& indices) const;
  /// These as [n, 1, 1] of the model's dtype; undefined without any.
  at::Tensor on_device(const std::vector<float>& query_scales) const;
  /// What a layer's last product takes: silu(gate(x)) * up(x).
  static at::Tensor gated(const Layer& layer, const at::Tensor& x);
  double scale() const;

  LlamaConfig config_;
  c10::Device device_;
  c10::ScalarType dtype_;
  /// By how often the trained length must be doubled to hold the prompt; one without dynamic NTK.
  std::vector<RotaryTable> rotary_;
  at::Tensor embedding_;  // [vocab, hidden]
  std::vector<Layer> layers_;
  RmsNorm norm_;
  Linear head_;
};

}  // namespace elastikv
