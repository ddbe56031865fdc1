#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "models/llama/config.h"
#include "strategies/budget.h"

namespace elastikv {

// What models, benchmarks and sweeps take and must read, from shapes alone: nothing is allocated
// here.

/// Number of weights of a decoder, embeddings and head included.
int64_t parameters_of(const LlamaConfig& shape);

/// Bytes of weights that a decode step reads, whatever its batch: every linear layer, norm and bias
/// and the head, once. The rows of the embedding table that it looks up are left out.
int64_t step_weight_bytes(const LlamaConfig& shape, int64_t element_bytes);

/// Multiplications and additions of a decode step of `rows` rows whose caches have `cache_bytes`
/// together: all linear layers once per row, and attention twice over every number of a cache, for
/// each of the query heads that share it.
double step_operations(const LlamaConfig& shape, int64_t rows, double cache_bytes,
                       int64_t element_bytes);

/// Seconds that a decode step takes at least: reading `bytes` at `bytes_per_second`, or its
/// arithmetic at `operations_per_second`, whichever is more.
double step_bound_seconds(double bytes, double bytes_per_second, double operations,
                          double operations_per_second);

/// What work needs at the same time, about: a lower bound, without what the
/// libraries take for themselves.
struct MemoryNeed {
  int64_t weights = 0;  ///< held all the time
  int64_t loading = 0;  ///< beside the weights while the largest layer is loaded
  // Both at the moment when they are most together.
  int64_t caches = 0;       ///< of all rows at the end, and one uncompressed prompt
  int64_t activations = 0;  ///< of the prefill of one prompt, and the logits of all rows

  int64_t total() const;
};

/// What the weights alone need. `stored_parameters`: those of a checkpoint, which may have more
/// than its decoder (a vision tower); 0 for random weights. `held`: the dtype in which linear
/// layers hold their matrices (see held_dtype); none: `dtype`.
MemoryNeed memory_for_weights(const LlamaConfig& shape, c10::ScalarType dtype, c10::Device device,
                              int64_t stored_parameters = 0,
                              std::optional<c10::ScalarType> held = std::nullopt);

/// What the prefill of one prompt computes at a time.
int64_t prefill_activations(const LlamaConfig& shape, int64_t prompt_tokens, int64_t element_bytes);

/// Adds `batch` sequences with this budget to what the weights need.
MemoryNeed memory_for_cell(MemoryNeed weights, const LlamaConfig& shape, c10::ScalarType dtype,
                           int64_t batch, int64_t prompt_tokens, int64_t new_tokens,
                           const Budget& budget);

/// "25.1 GiB", "512.0 MiB", "10 bytes".
std::string bytes_text(int64_t bytes);

/// "needs about 30.2 GiB (weights 24.2 GiB, caches 5.0 GiB, activations 1.0 GiB), but 21.0 GiB are
/// available", or an empty text when it fits.
std::string refusal(const MemoryNeed& need, int64_t available);

}  // namespace elastikv
