#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/prefill_statistics.h"

namespace elastikv {

/// What the engine has to compute for the strategies of a sweep; it computes the union, once.
struct StatisticsRequest {
  PrefillRequest prefill{};
  /// The attention rows of all prompt tokens after the image, among `last_rows`. Only a prompt
  /// that has an image, and tokens after it, can give them.
  bool post_image_rows = false;
  bool keys = false;         ///< the prompt's keys
  bool values = false;       ///< and values
  bool decode_rows = false;  ///< the attention row of every generated token

  StatisticsRequest operator|(const StatisticsRequest& other) const {
    return {.prefill = prefill | other.prefill,
            .post_image_rows = post_image_rows || other.post_image_rows,
            .keys = keys || other.keys,
            .values = values || other.values,
            .decode_rows = decode_rows || other.decode_rows};
  }
};

/// Statistics of one layer's prefill, on the CPU; what was not asked for is undefined.
struct LayerStatistics : PrefillStatistics {
  at::Tensor keys;    ///< f32 [kv_heads, tokens, head_dim], rotated by their positions
  at::Tensor values;  ///< f32 [kv_heads, tokens, head_dim]
};

/// Everything a strategy may know of a prompt.
struct PromptStatistics {
  int64_t prompt_tokens = 0;
  /// Rotary position of the first token after the prompt, less prompt_tokens: negative where an
  /// image takes fewer positions than tokens (mRoPE).
  int64_t position_delta = 0;
  int64_t query_heads = 0;
  int64_t kv_heads = 0;
  /// Token range [image_begin, image_end) of the image; empty without one.
  int64_t image_begin = 0;
  int64_t image_end = 0;
  /// Seed of this sample, for strategies that draw: equal for equal (sweep seed, data item).
  uint64_t seed = 0;
  /// f64 [head_dim / 2]: radians per position of each rotary pair (dimension d and
  /// d + head_dim / 2); undefined for a model without rotary embeddings.
  at::Tensor rotary_frequencies{};
  std::vector<LayerStatistics> layers;

  bool has_image() const { return image_end > image_begin; }
  /// Prompt tokens after the image; 0 without one.
  int64_t tokens_after_image() const { return has_image() ? prompt_tokens - image_end : 0; }
};

/// Why this prompt cannot give what is asked for ("has no image, ..."), or an empty text.
std::string missing_for(const StatisticsRequest& request, int64_t prompt_tokens,
                        int64_t image_begin, int64_t image_end);

}  // namespace elastikv
