#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// The keys that one decision of a layer is about, f32 [tokens, width]: those of KV head `group`,
/// or all heads' side by side when one group decides for the layer. keys: [kv_heads, tokens,
/// head_dim].
at::Tensor group_keys(const at::Tensor& keys, int64_t groups, int64_t group);

/// The rows [indices, width] at `indices` of rows [tokens, width].
at::Tensor rows_at(const at::Tensor& rows, const std::vector<int64_t>& indices);

/// For every source the target with the largest cosine, of equals the first. A row of zeros, or
/// one that is not finite, has cosine 0 with everything.
struct MostSimilar {
  std::vector<int64_t> target;  ///< [sources] row indices
  std::vector<float> cosine;    ///< [sources], within [-1, 1]
};
/// sources: f32 [n, width], targets: f32 [m, width], neither empty, on any device.
MostSimilar most_similar(const at::Tensor& sources, const at::Tensor& targets);

/// Cosines of rows i of two f32 [n, width]: [n]. A row of zeros has cosine 0 with everything.
std::vector<float> row_cosines(const at::Tensor& rows, const at::Tensor& others);

/// Cosines of neighbouring rows i and i + 1 of f32 [tokens, width]: [tokens - 1].
std::vector<float> neighbour_cosines(const at::Tensor& rows);

}  // namespace elastikv
