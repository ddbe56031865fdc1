#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// What the engine has to compute for the strategies of a sweep; it computes the union, once.
struct StatisticsRequest {
  bool column_sums = false;  ///< accumulated attention of the prompt
  bool decode_rows = false;  ///< the attention row of every generated token

  StatisticsRequest operator|(const StatisticsRequest& other) const {
    return {column_sums || other.column_sums, decode_rows || other.decode_rows};
  }
};

/// Statistics of one layer's prefill, on the CPU.
struct LayerStatistics {
  /// f32 [query_heads, prompt_tokens]: for each key n the sum over queries m >= n of the attention
  /// A[h, m, n].
  at::Tensor column_sums;
};

/// Everything a strategy may know of a prompt.
struct PromptStatistics {
  int64_t prompt_tokens = 0;
  int64_t query_heads = 0;
  int64_t kv_heads = 0;
  /// Token range [image_begin, image_end) of the picture; empty without one.
  int64_t image_begin = 0;
  int64_t image_end = 0;
  /// Seed of this sample, for strategies that draw: equal for equal (sweep seed, data item).
  uint64_t seed = 0;
  std::vector<LayerStatistics> layers;
};

}  // namespace elastikv
