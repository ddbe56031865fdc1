#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/rotary.h"

namespace elastikv {

/// What to gather from one head's slots, or from those of several heads alike.
struct MergeRows {
  at::Tensor kept;    ///< int64 [n]
  at::Tensor source;  ///< int64 [m], or undefined: a plain gather
  /// int64 [m]: index into `kept` that a source joins. On a GPU already, it has to ascend.
  at::Tensor anchor;
  at::Tensor source_weight;  ///< f32 [m], or undefined: 1
  at::Tensor anchor_weight;  ///< f32 [n], or undefined: 1
  bool mean = true;          ///< false: the weighted sum, not divided by the weights
  /// int64 [m] or [axes, m]: signed positions by which each source is turned on (see
  /// RotaryTable::turn_by) before it joins its anchor; undefined: none is.
  at::Tensor turns;
  const RotaryTable* rotary = nullptr;  ///< with `turns`
};

/// Gathers the kept entries of one layer and merges others into them:
///   out[h, a] = (w_a x[h, kept[a]] + sum over i with anchor[i] = a of w_i x[h, source[i]]) / (w_a
///   + sum of these w_i)
/// or the same without the division. x: [heads, slots, head_dim]. Sums are taken in fp32 in the
/// order of `source`, so the result does not depend on the device or the number of threads. An
/// anchor without sources is copied bit for bit (scaled by its weight if that is not 1 and sums are
/// asked for).
at::Tensor gather_and_merge(const at::Tensor& x, const MergeRows& rows);

namespace reference {
/// Plain ATen; any dtype.
at::Tensor gather_and_merge(const at::Tensor& x, const MergeRows& rows);
}  // namespace reference

namespace cpu {
/// fp32 and bf16 with contiguous entries: one pass, anchor by anchor. Equal to the reference bit
/// for bit.
at::Tensor gather_and_merge(const at::Tensor& x, const MergeRows& rows);
}  // namespace cpu

}  // namespace elastikv
