#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include "cache/kv_cache.h"
#include "support/tensors.h"

namespace elastikv {

inline CacheShape shape(c10::ScalarType dtype = at::kFloat) { return {2, 3, 4, dtype, at::kCPU}; }

/// Two layers of `tokens` random entries.
inline KVCache filled(int64_t tokens, c10::ScalarType dtype = at::kFloat) {
  KVCache cache(shape(dtype));
  for (int64_t layer = 0; layer < 2; ++layer) {
    cache.adopt(layer, random_tensor({3, tokens, 4}, 2 * layer).to(dtype),
                random_tensor({3, tokens, 4}, 2 * layer + 1).to(dtype), /*first_position=*/0);
  }
  return cache;
}

inline LayerPlan keep(const std::vector<int64_t>& slots) {
  LayerPlan plan;
  plan.kept = at::tensor(slots, at::kLong).view({1, -1});
  return plan;
}

/// Keeps the given slots of each head.
inline LayerPlan keep_by_head(const std::vector<std::vector<int64_t>>& slots) {
  size_t longest = 0;
  for (const auto& row : slots) longest = std::max(longest, row.size());
  LayerPlan plan;
  plan.kept =
      at::full({static_cast<int64_t>(slots.size()), static_cast<int64_t>(longest)}, -1, at::kLong);
  for (size_t h = 0; h < slots.size(); ++h) {
    for (size_t i = 0; i < slots[h].size(); ++i)
      plan.kept[static_cast<int64_t>(h)][static_cast<int64_t>(i)].fill_(slots[h][i]);
  }
  return plan;
}

}  // namespace elastikv
