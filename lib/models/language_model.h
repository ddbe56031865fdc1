#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/device_stopwatch.h"
#include "cache/kv_cache.h"
#include "kernels/chunk_attention.h"
#include "kernels/prefill_statistics.h"
#include "kernels/rotary.h"
#include "models/layers.h"

namespace elastikv {

class DecodeGraphs;

/// Called before every layer of a pass with its index and their number. What it throws ends the
/// pass.
using LayerWatch = std::function<void(int64_t layer, int64_t layers)>;

/// What a prefill computed of a prompt's first tokens, for other prompts that begin with them.
struct PromptBeginning {
  struct Layer {
    at::Tensor queries;    ///< [query_heads, tokens, head_dim], rotated
    at::Tensor unrotated;  ///< the same before that
    at::Tensor keys;       ///< [kv_heads, tokens, head_dim], rotated
    at::Tensor values;     ///< [kv_heads, tokens, head_dim]
  };
  int64_t tokens = 0;
  int64_t rotary_table = 0;
  std::vector<Layer> layers;

  /// Leaves no more than the first tokens, and gives back the memory of the others.
  void shorten(int64_t to);
};

struct PrefillInput {
  at::Tensor embeddings;  ///< [tokens, hidden]
  /// int64 [axes, tokens] on the CPU: what queries and keys are rotated by; undefined: the tokens'
  /// indices.
  at::Tensor positions;
  PrefillRequest request;   ///< what to compute beside the logits
  bool all_logits = false;  ///< logits of every position instead of the last one
  const Observer* observer = nullptr;
  LayerWatch on_layer{};
  /// The beginning of this prompt, of an earlier prefill: its tokens are attended to, and attend,
  /// but go through no layer again. Fewer tokens than this prompt has.
  const PromptBeginning* beginning = nullptr;
  PromptBeginning* keep = nullptr;  ///< gets what is computed of all tokens
};

struct PrefillOutput {
  at::Tensor logits;  ///< f32 [vocab] of the last position, or [tokens, vocab]
  std::vector<PrefillStatistics> statistics;  ///< one per layer, on the CPU
  DeviceSeconds statistics_seconds;           ///< of these, beyond a plain prefill
};

/// One sequence in a decode step.
struct DecodeInput {
  KVCache* cache = nullptr;
  int64_t token = 0;
  int64_t token_index =
      0;  ///< number of tokens of this sequence before this one: its true position
  PositionMode positions = PositionMode::kOriginal;
  bool weights = false;  ///< return attention rows
  /// [n, hidden] of images: token -1 - i stands for row i. May be undefined.
  at::Tensor features{};
};

struct DecodeOutput {
  at::Tensor logits;  ///< f32 [rows, vocab]
  /// [rows][layers]: f32 [query_heads, max_length(layer)], for rows that asked; else empty. On the
  /// CPU, or views of `weights_on_device`.
  std::vector<std::vector<at::Tensor>> weights;
  /// f32: all weights one after another where a device made them; else undefined.
  at::Tensor weights_on_device{};
};

/// One sequence whose next tokens are known and run at once.
struct ChunkInput {
  KVCache* cache = nullptr;
  std::span<const int64_t> tokens;  ///< as many in all rows; they outlive the pass
  int64_t token_index = 0;          ///< true position of the chunk's first token
  /// [tokens]: what queries and keys are rotated by; empty when the cache's keys are un-rotated.
  std::vector<int64_t> rotary_positions;
  /// [layers][groups]: who sees which slot, the chunk's own entries appended.
  std::vector<std::vector<ChunkSlots>> slots;
  /// As in DecodeInput.
  at::Tensor features{};
};

/// A causal decoder. Immutable after loading; sequences live in their KVCaches.
class LanguageModel {
 public:
  virtual ~LanguageModel() = default;

  /// The cache that this model fills.
  virtual CacheShape cache_shape() const = 0;
  virtual int64_t query_heads() const = 0;
  virtual int64_t vocab_size() const = 0;
  /// Longest sequence: positions beyond have no rotary angle.
  virtual int64_t max_positions() const = 0;
  /// What the keys of a cache that prefill filled are rotated by; null for a model without rotary
  /// embeddings. Lives as long as the model.
  virtual const RotaryTable* rotary(const KVCache& cache) const = 0;
  /// f64 [head_dim / 2]: radians per position of each rotary pair, on the CPU; undefined without
  /// rotary embeddings.
  at::Tensor rotary_frequencies(const KVCache& cache) const {
    const RotaryTable* table = rotary(cache);
    return table == nullptr ? at::Tensor() : table->frequencies();
  }

  /// ids: int64 [tokens] -> [tokens, hidden].
  virtual at::Tensor embed(const at::Tensor& ids) const = 0;
  /// Runs a whole prompt and fills an empty cache with its keys (rotated by their positions, which
  /// the cache is told if they are not the tokens' indices) and values.
  virtual PrefillOutput prefill(const PrefillInput& input, KVCache& cache) const = 0;
  /// Runs one new token of every sequence as a batch: its entry is appended to each layer of its
  /// cache, then it attends to all slots there. Rows do not see each other. `graphs`: of this
  /// model, where a device is to run the layers as one of them if it can; may be null.
  virtual DecodeOutput decode(const std::vector<DecodeInput>& rows, DecodeGraphs* graphs) const = 0;
  DecodeOutput decode(const std::vector<DecodeInput>& rows) const { return decode(rows, nullptr); }
  /// Runs known tokens of every sequence as one batch, each token seeing what its row says: their
  /// entries are appended to each layer and stay there. Returns the decoder's last hidden states,
  /// normalized, [rows, tokens, hidden]. `on_layer` may be empty.
  virtual at::Tensor decode_chunk(const std::vector<ChunkInput>& rows,
                                  const LayerWatch& on_layer) const = 0;
  /// hidden: [n, hidden] of decode_chunk -> f32 [n, vocab].
  virtual at::Tensor logits(const at::Tensor& hidden) const = 0;
  /// Turns a cache that prefill filled into one for PositionMode::kRerotated: takes the rotation
  /// off its keys.
  virtual void unrotate_keys(KVCache& cache) const = 0;
};

}  // namespace elastikv
