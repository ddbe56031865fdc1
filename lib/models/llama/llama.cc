#include "models/llama/llama.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/tensor.h>

#include "base/device_stopwatch.h"
#include "base/error.h"
#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/finite.h"
#include "kernels/transfer.h"
#include "models/chunk_batch.h"
#include "models/decode_batch.h"

namespace elastikv {

namespace {

/// The matrices of queries, keys and values, one by one or in one.
Linear take_qkv(const WeightReader& weights, const std::vector<const char*>& names,
                const LlamaConfig& config) {
  const int64_t query_size = config.query_heads * config.head_dim;
  const int64_t kv_size = config.kv_heads * config.head_dim;
  if (names.size() == 1) {
    return take_linear(weights, names[0], query_size + 2 * kv_size, config.hidden_size,
                       config.qkv_bias);
  }
  ELASTIKV_ASSERT(names.size() == 3, "{} matrices of queries, keys and values", names.size());
  return take_stacked_linear(weights,
                             {{names[0], query_size}, {names[1], kv_size}, {names[2], kv_size}},
                             config.hidden_size, config.qkv_bias);
}

}  // namespace

namespace {

/// 0, or NaN where queries, keys or values [heads, tokens, head_dim] are not finite: attention may
/// lose a NaN of queries and keys, whose exponential some kernels make a number. A damaged weight
/// shows in every token, so the last one tells; only where numbers overflow (fp16) must all be
/// read.
at::Tensor nothing_or_nan(const at::Tensor& queries, const at::Tensor& keys,
                          const at::Tensor& values) {
  const bool all = queries.scalar_type() == at::kHalf;
  const int64_t first = all ? 0 : queries.size(1) - 1;
  const auto sum = [&](const at::Tensor& x) {
    return x.narrow(1, first, x.size(1) - first).sum(at::kFloat);
  };
  return (sum(queries) + sum(keys) + sum(values)) * 0;
}

}  // namespace

Llama::Llama(const LlamaConfig& config, const WeightReader& body, const WeightReader& head,
             const LlamaNames& names)
    : config_(config), device_(body.device()), dtype_(body.dtype()) {
  const int64_t hidden = config.hidden_size;
  // Where only names and shapes are asked for, nothing will be rotated.
  const int64_t tables = body.dry() ? 0 : rotary_table(config.max_positions) + 1;
  for (int64_t i = 0; i < tables; ++i) {
    // Source: dynamic NTK in Qwen's modeling_qwen.py.
    const double alpha = std::exp2(static_cast<double>(i + 1)) - 1;
    const auto size = static_cast<double>(config.head_dim);
    RotaryRule rule = config.rope;
    if (i > 0) rule.theta *= std::pow(alpha, size / (size - 2));
    rotary_.emplace_back(config.head_dim, rule, config.max_positions, body.device());
  }
  const auto weight = [](const char* name) { return fmt::format("{}.weight", name); };
  embedding_ = body.take(weight(names.embedding), {config.vocab_size, hidden});
  for (int64_t i = 0; i < config.layers; ++i) {
    const WeightReader w = body.scope(fmt::format("{}.{}.", names.layers, i));
    Layer layer;
    layer.attention_norm =
        RmsNorm(w.take(weight(names.attention_norm), {hidden}), config.rms_norm_eps);
    layer.mlp_norm = RmsNorm(w.take(weight(names.mlp_norm), {hidden}), config.rms_norm_eps);
    layer.qkv = take_qkv(w, names.qkv, config);
    if (config.qk_norm) {
      layer.query_norm =
          RmsNorm(w.take("self_attn.q_norm.weight", {config.head_dim}), config.rms_norm_eps);
      layer.key_norm =
          RmsNorm(w.take("self_attn.k_norm.weight", {config.head_dim}), config.rms_norm_eps);
    }
    layer.out =
        take_linear(w, names.out, hidden, config.query_heads * config.head_dim, config.output_bias);
    layer.gate_up = take_stacked_linear(
        w, {{names.gate, config.intermediate_size}, {names.up, config.intermediate_size}}, hidden,
        config.mlp_bias);
    layer.down = take_linear(w, names.down, hidden, config.intermediate_size, config.mlp_bias);
    layers_.push_back(std::move(layer));
  }
  norm_ = RmsNorm(body.take(weight(names.norm), {hidden}), config.rms_norm_eps);
  if (config.tie_word_embeddings) {
    head.ignore("lm_head.weight");
    if (embedding_.defined()) head_ = Linear(embedding_, {});
  } else {
    head_ = take_linear(head, "lm_head", config.vocab_size, hidden, /*bias=*/false);
  }
}

CacheShape Llama::cache_shape() const {
  return {config_.layers, config_.kv_heads, config_.head_dim, dtype_, device_};
}

int64_t Llama::rotary_table(int64_t prompt_tokens) const {
  if (!config_.dynamic_ntk) return 0;
  int64_t doublings = 0;
  for (int64_t length = config_.trained_length; length < prompt_tokens; length *= 2) ++doublings;
  return doublings;
}

std::vector<float> Llama::query_scales(const std::vector<int64_t>& indices) const {
  if (!config_.logn_attention || std::all_of(indices.begin(), indices.end(), [this](int64_t index) {
        return index < config_.trained_length;
      }))
    return {};
  // Source: logn attention in Qwen's modeling_qwen.py: a query that sees n tokens is multiplied by
  // the logarithm of n to the base of the trained length.
  const double base = std::log(static_cast<double>(config_.trained_length));
  std::vector<float> scales;
  scales.reserve(indices.size());
  for (const int64_t index : indices) {
    scales.push_back(static_cast<float>(
        index < config_.trained_length ? 1.0 : std::log(static_cast<double>(index + 1)) / base));
  }
  return scales;
}

at::Tensor Llama::on_device(const std::vector<float>& query_scales) const {
  if (query_scales.empty()) return {};
  return sent(at::tensor(query_scales, at::kFloat), device_).view({-1, 1, 1}).to(dtype_);
}

double Llama::scale() const { return 1.0 / std::sqrt(static_cast<double>(config_.head_dim)); }

at::Tensor Llama::embed(const at::Tensor& ids) const {
  return at::embedding(embedding_, ids.to(device_));
}

Llama::Projections Llama::heads_of(const Layer& layer, const at::Tensor& product,
                                   const at::Tensor& query_scales) const {
  const at::Tensor qkv =
      product.view({product.size(0), config_.query_heads + 2 * config_.kv_heads, config_.head_dim});
  Projections p{qkv.narrow(1, 0, config_.query_heads),
                qkv.narrow(1, config_.query_heads, config_.kv_heads),
                qkv.narrow(1, config_.query_heads + config_.kv_heads, config_.kv_heads)};
  if (config_.qk_norm) {
    p.queries = layer.query_norm(p.queries);
    p.keys = layer.key_norm(p.keys);
  }
  if (query_scales.defined()) p.queries.mul_(query_scales);
  return p;
}

Llama::Projections Llama::project(const Layer& layer, const at::Tensor& x,
                                  const at::Tensor& query_scales) const {
  return heads_of(layer, layer.qkv(layer.attention_norm(x)), query_scales);
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
  cache.set_rotary_table(rotary_table(tokens));
  const RotaryTable& rotary = *this->rotary(cache);
  // A longer prompt may be rotated by another table than its beginning was.
  const PromptBeginning* known =
      input.beginning != nullptr && input.beginning->rotary_table == cache.rotary_table()
          ? input.beginning
          : nullptr;
  const int64_t begin = known == nullptr ? 0 : known->tokens;
  const int64_t run = tokens - begin;
  ELASTIKV_ASSERT(run > 0, "a beginning of {} tokens in a prompt of {}", begin, tokens);
  const at::Tensor own_positions = positions.narrow(-1, begin, run).contiguous();
  std::vector<int64_t> indices(static_cast<size_t>(run));
  std::iota(indices.begin(), indices.end(), begin);
  const at::Tensor scales = on_device(query_scales(indices));
  const auto observe = [&](int64_t layer, const char* name, const at::Tensor& value) {
    if (input.observer != nullptr)
      (*input.observer)(fmt::format("layers.{}{}", layer, name), value);
  };
  PrefillOutput result;
  result.statistics.reserve(layers_.size());
  if (input.keep != nullptr) *input.keep = {tokens, cache.rotary_table(), {}};
  at::Tensor x = input.embeddings.narrow(0, begin, run).to(dtype_);
  at::Tensor lost;  // 0, or NaN
  for (int64_t i = 0; i < config_.layers; ++i) {
    if (input.on_layer) input.on_layer(i, config_.layers);
    const Layer& layer = layers_[static_cast<size_t>(i)];
    const Projections p = heads_of(layer, layer.qkv.of_prompt(layer.attention_norm(x)), scales);
    at::Tensor unrotated = p.queries.transpose(0, 1);
    at::Tensor queries = rotary.rotate(unrotated, own_positions).contiguous();
    at::Tensor keys = rotary.rotate(p.keys.transpose(0, 1), own_positions).contiguous();
    at::Tensor values = p.values.transpose(0, 1).contiguous();
    if (known != nullptr) {
      const PromptBeginning::Layer& before = known->layers[static_cast<size_t>(i)];
      queries = at::cat({before.queries, queries}, 1);
      keys = at::cat({before.keys, keys}, 1);
      values = at::cat({before.values, values}, 1);
      unrotated = at::cat({before.unrotated, unrotated}, 1);
    }
    if (input.keep != nullptr) input.keep->layers.push_back({queries, unrotated, keys, values});
    const at::Tensor here = nothing_or_nan(queries, keys, values);
    lost = lost.defined() ? lost + here : here;
    // Nothing that is seen later needs to show these.
    if (input.observer != nullptr && !all_finite(queries)) observe(i, ".queries", queries);
    PrefillAttention attention = prefill_attention(queries, keys, values, scale(), input.request);
    cache.adopt(i, keys, values, /*first_position=*/0);
    if (input.request.any()) {
      DeviceStopwatch watch(device_);
      for (const int64_t skip : input.request.query_moments)
        attention.statistics.query_moments[skip] = query_moments(unrotated, skip);
      attention.statistics = on_cpu(attention.statistics);
      result.statistics_seconds += attention.statistics_seconds;
      result.statistics_seconds += watch.lap();
    }
    result.statistics.push_back(std::move(attention.statistics));
    at::Tensor attended =
        attention.output.transpose(0, 1).narrow(0, begin, run);  // [run, heads, head_dim]
    if (i + 1 == config_.layers && !input.all_logits && input.observer == nullptr) {
      // Of the last layer nobody sees more than the last token.
      attended = attended.narrow(0, run - 1, 1);
      x = x.narrow(0, run - 1, 1);
    }
    const at::Tensor out = layer.out.of_prompt(attended.reshape({attended.size(0), -1}));
    observe(i, ".attn_out", out);
    x = x + out;
    layer.down.add_prompt_to(x, gated_silu(layer.gate_up.of_prompt(layer.mlp_norm(x))));
    observe(i, "", x);
  }
  const at::Tensor last = input.all_logits ? x : x.narrow(0, x.size(0) - 1, 1);
  const at::Tensor logits = head_(norm_(last)).to(at::kFloat) + lost;
  result.logits = input.all_logits ? logits : logits[0];
  return result;
}

namespace {

/// Puts images' features into the rows of embeddings from `begin` on whose tokens stand for one.
void place_features(const at::Tensor& features, std::span<const int64_t> tokens,
                    const at::Tensor& embeddings, int64_t begin) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0) continue;
    const int64_t feature = -1 - tokens[i];
    ELASTIKV_ASSERT(features.defined() && feature < features.size(0), "token {} without a feature",
                    tokens[i]);
    embeddings[begin + static_cast<int64_t>(i)].copy_(features[feature]);
  }
}

}  // namespace

DecodeOutput Llama::decode(const std::vector<DecodeInput>& rows, DecodeGraphs* graphs) const {
  std::vector<int64_t> indices;
  indices.reserve(rows.size());
  for (const DecodeInput& row : rows) indices.push_back(row.token_index);
  DecodeBatch batch(rows, *this, scale(), device_, dtype_, query_scales(indices));
  const bool any_features =
      std::any_of(rows.begin(), rows.end(), [](const DecodeInput& row) { return row.token < 0; });
  const auto layers = [&](const StepBegin& begin) {
    at::Tensor x = embed(begin.ids);
    for (size_t r = 0; any_features && r < rows.size(); ++r)
      place_features(rows[r].features, {&rows[r].token, 1}, x, static_cast<int64_t>(r));
    for (int64_t i = 0; i < config_.layers; ++i) {
      const Layer& layer = layers_[static_cast<size_t>(i)];
      const Projections p = project(layer, x, begin.query_scales);
      const at::Tensor attention = batch.attend(i, p.queries, p.keys, p.values);
      layer.out.add_to(x, attention.view({x.size(0), -1}));
      layer.down.add_to(x, gated(layer, x));
    }
    return head_(norm_(x)).to(at::kFloat);
  };
  DecodeOutput result;
  result.logits = batch.run(layers, any_features ? nullptr : graphs);
  batch.give_weights(result);
  return result;
}

at::Tensor Llama::decode_chunk(const std::vector<ChunkInput>& rows,
                               const LayerWatch& on_layer) const {
  const auto row_count = static_cast<int64_t>(rows.size());
  const auto token_count = static_cast<int64_t>(rows.front().tokens.size());
  ChunkBatch batch(rows, token_count, *this, scale(), device_, dtype_);
  std::vector<int64_t> ids;
  std::vector<int64_t> indices;
  ids.reserve(static_cast<size_t>(row_count * token_count));
  indices.reserve(static_cast<size_t>(row_count * token_count));
  for (const ChunkInput& row : rows) {
    ELASTIKV_ASSERT(std::ssize(row.tokens) == token_count, "{} tokens beside {}", row.tokens.size(),
                    token_count);
    for (const int64_t token : row.tokens) ids.push_back(std::max<int64_t>(token, 0));
    for (int64_t i = 0; i < token_count; ++i) indices.push_back(row.token_index + i);
  }
  const at::Tensor scales = on_device(query_scales(indices));
  at::Tensor x = embed(sent(at::tensor(ids, at::kLong), device_));
  for (int64_t r = 0; r < row_count; ++r) {
    const ChunkInput& row = rows[static_cast<size_t>(r)];
    place_features(row.features, row.tokens, x, r * token_count);
  }
  for (int64_t i = 0; i < config_.layers; ++i) {
    if (on_layer) on_layer(i, config_.layers);
    const Layer& layer = layers_[static_cast<size_t>(i)];
    const Projections p = project(layer, x, scales);
    const at::Tensor attention = batch.attend(i, p.queries, p.keys, p.values);
    layer.out.add_to(x, attention.view({x.size(0), -1}));
    layer.down.add_to(x, gated(layer, x));
  }
  return norm_(x).view({row_count, token_count, -1});
}

at::Tensor Llama::logits(const at::Tensor& hidden) const { return head_(hidden).to(at::kFloat); }

void Llama::unrotate_keys(KVCache& cache) const { cache.unrotate_keys(*rotary(cache)); }

}  // namespace elastikv
