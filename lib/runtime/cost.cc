#include "runtime/cost.h"

#include <algorithm>

#include <fmt/format.h>

namespace elastikv {
namespace {

/// Weights of all layers and the last norm.
int64_t body_parameters(const LlamaConfig& shape) {
  const int64_t queries = shape.query_heads * shape.head_dim;
  const int64_t keys = shape.kv_heads * shape.head_dim;
  int64_t layer = shape.hidden_size * (queries + 2 * keys) + queries * shape.hidden_size +
                  3 * shape.hidden_size * shape.intermediate_size + 2 * shape.hidden_size;
  if (shape.qkv_bias) layer += queries + 2 * keys;
  if (shape.output_bias) layer += shape.hidden_size;
  if (shape.qk_norm) layer += 2 * shape.head_dim;
  if (shape.mlp_bias) layer += 2 * shape.intermediate_size + shape.hidden_size;
  return shape.layers * layer + shape.hidden_size;
}

}  // namespace

int64_t parameters_of(const LlamaConfig& shape) {
  const int64_t table = shape.vocab_size * shape.hidden_size;
  return body_parameters(shape) + (shape.tie_word_embeddings ? 1 : 2) * table;
}

int64_t step_weight_bytes(const LlamaConfig& shape, int64_t element_bytes) {
  return (body_parameters(shape) + shape.vocab_size * shape.hidden_size) * element_bytes;
}

double step_operations(const LlamaConfig& shape, int64_t rows, double cache_bytes,
                       int64_t element_bytes) {
  const auto weights = static_cast<double>(step_weight_bytes(shape, /*element_bytes=*/1));
  const double cached = cache_bytes / static_cast<double>(element_bytes);
  const int64_t sharing = shape.query_heads / shape.kv_heads;
  return 2 * weights * static_cast<double>(rows) + 2 * cached * static_cast<double>(sharing);
}

double step_bound_seconds(double bytes, double bytes_per_second, double operations,
                          double operations_per_second) {
  return std::max(bytes / bytes_per_second, operations / operations_per_second);
}

int64_t MemoryNeed::total() const { return weights + std::max(loading, caches + activations); }

MemoryNeed memory_for_weights(const LlamaConfig& shape, c10::ScalarType dtype, c10::Device device,
                              int64_t stored_parameters, std::optional<c10::ScalarType> held) {
  const auto element_bytes = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t table = shape.vocab_size * shape.hidden_size;
  const bool panels = device.is_cpu() && dtype != c10::ScalarType::Half;
  int64_t matrices = std::max(parameters_of(shape), stored_parameters) - table;
  // A head that shares the embedding table has panels beside it.
  if (shape.tie_word_embeddings && panels) matrices += table;
  MemoryNeed need;
  need.weights = table * element_bytes +
                 matrices * static_cast<int64_t>(c10::elementSize(held.value_or(dtype)));
  // Cosines and sines of every position (RotaryTable).
  need.weights += 2 * shape.max_positions * shape.head_dim * static_cast<int64_t>(sizeof(float));
  // The parts of the largest product, and where there are no panels their concatenation.
  need.loading = (panels ? 1 : 2) *
                 std::max(2 * shape.hidden_size * shape.intermediate_size, table) * element_bytes;
  return need;
}

int64_t prefill_activations(const LlamaConfig& shape, int64_t prompt_tokens,
                            int64_t element_bytes) {
  const int64_t widest = 4 * shape.hidden_size + 3 * shape.intermediate_size +
                         2 * (shape.query_heads + shape.kv_heads) * shape.head_dim;
  return prompt_tokens * widest * element_bytes;
}

MemoryNeed memory_for_cell(MemoryNeed weights, const LlamaConfig& shape, c10::ScalarType dtype,
                           int64_t batch, int64_t prompt_tokens, int64_t new_tokens,
                           const Budget& budget) {
  const auto element_bytes = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t token_bytes = shape.cache_bytes_per_token(element_bytes);
  const int64_t slots = budget.slots(prompt_tokens + new_tokens, prompt_tokens);
  weights.caches = batch * slots * token_bytes;
  if (!budget.is_unlimited()) weights.caches += prompt_tokens * token_bytes;
  weights.activations = prefill_activations(shape, prompt_tokens, element_bytes) +
                        batch * shape.vocab_size * static_cast<int64_t>(sizeof(float));
  return weights;
}

std::string bytes_text(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= int64_t{1} << 30) return fmt::format("{:.1f} GiB", value / (1 << 30));
  if (bytes >= int64_t{1} << 20) return fmt::format("{:.1f} MiB", value / (1 << 20));
  return fmt::format("{} bytes", bytes);
}

std::string refusal(const MemoryNeed& need, int64_t available) {
  if (need.total() <= available) return "";
  std::string parts = fmt::format("weights {}", bytes_text(need.weights));
  if (need.loading > need.caches + need.activations) {
    parts += fmt::format(", loading them {}", bytes_text(need.loading));
  } else {
    parts += fmt::format(", caches {}, activations {}", bytes_text(need.caches),
                         bytes_text(need.activations));
  }
  return fmt::format("needs about {} ({}), but {} are available", bytes_text(need.total()), parts,
                     bytes_text(available));
}

}  // namespace elastikv
