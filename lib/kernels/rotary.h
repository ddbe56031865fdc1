#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace elastikv {

/// Rotary position embedding with the rotate-half pairing of Hugging Face's LLaMA: dimension d is
/// paired with d + head_dim / 2, angle position * theta^(-2d / head_dim). Angles are kept in fp32.
class RotaryTable {
 public:
  RotaryTable(int64_t head_dim, double theta, int64_t max_positions, c10::Device device);

  int64_t max_positions() const { return cos_.size(0); }
  /// x: [heads, tokens, head_dim]; positions: int64 [tokens] on x's device. Returns x rotated, same
  /// dtype.
  at::Tensor rotate(const at::Tensor& x, const at::Tensor& positions) const;
  /// The inverse: takes a rotation by `positions` off again, computed in fp32.
  at::Tensor unrotate(const at::Tensor& x, const at::Tensor& positions) const;
  /// x: [rows, heads, head_dim], one position per row: int64 [rows].
  at::Tensor rotate_rows(const at::Tensor& x, const at::Tensor& positions) const;

 private:
  at::Tensor cos_;  // f32 [max_positions, head_dim], both halves
  at::Tensor sin_;  // f32 [max_positions, head_dim], first half negated: out = x * cos +
                    // swap_halves(x) * sin
};

}  // namespace elastikv
