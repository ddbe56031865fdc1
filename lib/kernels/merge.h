#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv {

/// Gathers the kept entries of one layer and averages merged ones into them:
///   out[h, a] = (w_a x[h, kept[a]] + sum over i with anchor[i] = a of w_i x[h, source[i]]) / (w_a
///   + sum of these w_i)
/// x: [heads, slots, head_dim]; kept: int64 [n]; source, anchor: int64 [m] or undefined (plain
/// gather); source_weight: f32 [m] or undefined (1); anchor_weight: f32 [n] or undefined (1). Sums
/// are taken in fp32 in the order of `source`, so the result does not depend on the device or the
/// number of threads. An anchor without sources is copied bit for bit.
at::Tensor gather_and_merge(const at::Tensor& x, const at::Tensor& kept, const at::Tensor& source,
                            const at::Tensor& anchor, const at::Tensor& source_weight,
                            const at::Tensor& anchor_weight);

}  // namespace elastikv
