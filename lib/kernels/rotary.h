#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace elastikv {

/// Rotary position embedding with the rotate-half pairing of Hugging Face's LLaMA: dimension d is
/// paired with d + head_dim / 2, angle position * theta^(-2d / head_dim). Angles are kept in fp32.
class RotaryTable {
 public:
  /// The angles of some positions, looked up once for all layers of a step.
  struct Angles {
    at::Tensor cos;  ///< [positions, head_dim], both halves, in the dtype that is rotated
    at::Tensor sin;  ///< [positions, head_dim], first half negated
  };

  RotaryTable(int64_t head_dim, double theta, int64_t max_positions, c10::Device device);

  int64_t max_positions() const { return cos_.size(0); }
  /// f64 [head_dim / 2]: radians per position of each pair, the fp32 values that the table was made
  /// from, on the CPU.
  const at::Tensor& frequencies() const { return frequencies_; }
  /// positions: int64 [n] on the table's device.
  Angles angles(const at::Tensor& positions, c10::ScalarType dtype) const;

  /// x: [heads, tokens, head_dim]; positions: int64 [tokens] on x's device. Returns x rotated, same
  /// dtype.
  at::Tensor rotate(const at::Tensor& x, const at::Tensor& positions) const;
  /// The inverse: takes a rotation by `positions` off again, computed in fp32.
  at::Tensor unrotate(const at::Tensor& x, const at::Tensor& positions) const;
  /// Turns x on by signed `offsets`, int64 [tokens] on x's device, each within +-(max_positions -
  /// 1): rotated by p, then turned by o, is rotated by p + o. Computed in fp32 and returned as
  /// such.
  at::Tensor turn_by(const at::Tensor& x, const at::Tensor& offsets) const;
  /// x: [rows, heads, head_dim], one position per row. Position 0 gives x itself, bit for bit.
  static at::Tensor rotate_rows(const at::Tensor& x, const Angles& angles);
  /// The same in place, for x whose last dimension is contiguous.
  static void rotate_rows_in_place(const at::Tensor& x, const Angles& angles);

  /// f32 [max_positions, head_dim]: cosines, both halves; sines, first half negated. For kernels
  /// that rotate while they read.
  const at::Tensor& cos() const { return cos_; }
  const at::Tensor& sin() const { return sin_; }

 private:
  at::Tensor frequencies_;
  at::Tensor cos_;
  at::Tensor sin_;
};

namespace cpu {
/// fp32 and bf16 in one pass; bits may differ from the operators' in bf16, which round in between.
void rotate_rows_in_place(const at::Tensor& x, const RotaryTable::Angles& angles);
}  // namespace cpu

}  // namespace elastikv
