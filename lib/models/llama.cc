#include "models/llama.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "base/stopwatch.h"
#include "kernels/activation.h"
#include "kernels/attention.h"
#include "models/chunk_batch.h"
#include "models/decode_batch.h"

namespace elastikv {

Llama::Llama(const LlamaConfig& config, const WeightReader& body, const WeightReader& head)
    : config_(config),
      device_(body.device()),
      dtype_(body.dtype()),
      rotary_(config.head_dim, config.rope, config.max_positions, body.device()) {
  const int64_t hidden = config.hidden_size;
  const int64_t query_size = config.query_heads * config.head_dim;
  const int64_t kv_size = config.kv_heads * config.head_dim;
  embedding_ = body.take("embed_tokens.weight", {config.vocab_size, hidden});
  for (int64_t i = 0; i < config.layers; ++i) {
    const WeightReader w = body.scope(fmt::format("layers.{}.", i));
    Layer layer;
    layer.attention_norm = RmsNorm(w.take("input_layernorm.weight", {hidden}), config.rms_norm_eps);
    layer.mlp_norm =
        RmsNorm(w.take("post_attention_layernorm.weight", {hidden}), config.rms_norm_eps);
    layer.qkv = take_stacked_linear(w,
                                    {{"self_attn.q_proj", query_size},
                                     {"self_attn.k_proj", kv_size},
                                     {"self_attn.v_proj", kv_size}},
                                    hidden, config.qkv_bias);
    if (config.qk_norm) {
      layer.query_norm =
          RmsNorm(w.take("self_attn.q_norm.weight", {config.head_dim}), config.rms_norm_eps);
      layer.key_norm =
          RmsNorm(w.take("self_attn.k_norm.weight", {config.head_dim}), config.rms_norm_eps);
    }
    layer.out = take_linear(w, "self_attn.o_proj", hidden, query_size, config.output_bias);
    layer.gate_up = take_stacked_linear(
        w, {{"mlp.gate_proj", config.intermediate_size}, {"mlp.up_proj", config.intermediate_size}},
        hidden, config.mlp_bias);
    layer.down = take_linear(w, "mlp.down_proj", hidden, config.intermediate_size, config.mlp_bias);
    layers_.push_back(std::move(layer));
  }
  norm_ = RmsNorm(body.take("norm.weight", {hidden}), config.rms_norm_eps);
  if (config.tie_word_embeddings) {
    head.ignore("lm_head.weight");
    if (embedding_.defined())
      head_ =
          Linear(embedding_, {}, body.saves_memory() ? LinearMemory::kSmall : LinearMemory::kFast);
  } else {
    head_ = take_linear(head, "lm_head", config.vocab_size, hidden, /*bias=*/false);
  }
}

CacheShape Llama::cache_shape() const {
  return {config_.layers, config_.kv_heads, config_.head_dim, dtype_, device_};
}

double Llama::scale() const { return 1.0 / std::sqrt(static_cast<double>(config_.head_dim)); }

at::Tensor Llama::embed(const at::Tensor& ids) const {
  return at::embedding(embedding_, ids.to(device_));
}

Llama::Projections Llama::project(const Layer& layer, const at::Tensor& x) const {
  const at::Tensor qkv =
      layer.qkv(layer.attention_norm(x))
          .view({x.size(0), config_.query_heads + 2 * config_.kv_heads, config_.head_dim});
  Projections p{qkv.narrow(1, 0, config_.query_heads),
                qkv.narrow(1, config_.query_heads, config_.kv_heads),
                qkv.narrow(1, config_.query_heads + config_.kv_heads, config_.kv_heads)};
  if (config_.qk_norm) {
    p.queries = layer.query_norm(p.queries.contiguous());
    p.keys = layer.key_norm(p.keys.contiguous());
  }
  return p;
}

at::Tensor Llama::gated(const Layer& layer, const at::Tensor& x) {
  return gated_silu(layer.gate_up(layer.mlp_norm(x)));
}

PrefillOutput Llama::prefill(const PrefillInput& input, KVCache& cache) const {
  const int64_t tokens = input.embeddings.size(0);
  ELASTIKV_ASSERT(tokens > 0 && tokens <= config_.max_positions, "{} tokens of at most {}", tokens,
                  config_.max_positions);
  const at::Tensor positions =
      input.positions.defined()
          ? input.positions.to(device_)
          : at::arange(tokens, at::TensorOptions().dtype(at::kLong).device(device_));
  if (input.positions.defined()) cache.set_rotary_positions(input.positions);
  const auto observe = [&](int64_t layer, const char* name, const at::Tensor& value) {
    if (input.observer != nullptr)
      (*input.observer)(fmt::format("layers.{}{}", layer, name), value);
  };
  PrefillOutput result;
  result.statistics.reserve(layers_.size());
  at::Tensor x = input.embeddings.to(dtype_);
  for (int64_t i = 0; i < config_.layers; ++i) {
    const Layer& layer = layers_[static_cast<size_t>(i)];
    const Projections p = project(layer, x);
    const at::Tensor queries = rotary_.rotate(p.queries.transpose(0, 1), positions).contiguous();
    const at::Tensor keys = rotary_.rotate(p.keys.transpose(0, 1), positions).contiguous();
    const at::Tensor values = p.values.transpose(0, 1).contiguous();
    PrefillAttention attention = prefill_attention(queries, keys, values, scale(), input.request);
    cache.adopt(i, keys, values, /*first_position=*/0);
    Stopwatch watch;
    for (const int64_t skip : input.request.query_moments)
      attention.statistics.query_moments[skip] = query_moments(p.queries.transpose(0, 1), skip);
    result.statistics.push_back(on_cpu(attention.statistics));
    result.statistics_seconds += attention.statistics_seconds + watch.lap();
    const at::Tensor out = layer.out(attention.output.transpose(0, 1).reshape({tokens, -1}));
    observe(i, ".attn_out", out);
    x = x + out;
    layer.down.add_to(x, gated(layer, x));
    observe(i, "", x);
  }
  const at::Tensor last = input.all_logits ? x : x.narrow(0, tokens - 1, 1);
  const at::Tensor logits = head_(norm_(last)).to(at::kFloat);
  result.logits = input.all_logits ? logits : logits[0];
  return result;
}

DecodeOutput Llama::decode(const std::vector<DecodeInput>& rows) const {
  std::vector<int64_t> ids;
  ids.reserve(rows.size());
  for (const DecodeInput& row : rows) ids.push_back(row.token);
  DecodeBatch batch(rows, rotary_, scale(), device_, dtype_);
  at::Tensor x = embed(at::tensor(ids, at::kLong));
  for (int64_t i = 0; i < config_.layers; ++i) {
    const Layer& layer = layers_[static_cast<size_t>(i)];
    const Projections p = project(layer, x);
    const at::Tensor attention = batch.attend(i, p.queries, p.keys, p.values);
    layer.out.add_to(x, attention.view({x.size(0), -1}));
    layer.down.add_to(x, gated(layer, x));
  }
  DecodeOutput result;
  result.logits = head_(norm_(x)).to(at::kFloat);
  result.weights = batch.take_weights();
  return result;
}

at::Tensor Llama::decode_chunk(const std::vector<ChunkInput>& rows,
                               const std::vector<int64_t>& tokens) const {
  const auto row_count = static_cast<int64_t>(rows.size());
  const auto token_count = static_cast<int64_t>(tokens.size());
  ChunkBatch batch(rows, token_count, rotary_, scale(), device_, dtype_);
  at::Tensor x = embed(at::tensor(tokens, at::kLong)).repeat({row_count, 1});
  for (int64_t i = 0; i < config_.layers; ++i) {
    const Layer& layer = layers_[static_cast<size_t>(i)];
    const Projections p = project(layer, x);
    const at::Tensor attention = batch.attend(i, p.queries, p.keys, p.values);
    layer.out.add_to(x, attention.view({x.size(0), -1}));
    layer.down.add_to(x, gated(layer, x));
  }
  return norm_(x).view({row_count, token_count, -1});
}

at::Tensor Llama::logits(const at::Tensor& hidden) const { return head_(hidden).to(at::kFloat); }

void Llama::unrotate_keys(KVCache& cache) const { cache.unrotate_keys(rotary_); }

}  // namespace elastikv
