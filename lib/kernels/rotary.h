#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace elastikv {

/// How the angles of a rotary embedding follow from positions.
struct RotaryRule {
  /// Llama 3.1's scaling: frequencies whose wave is longer than the context that the model was
  /// first trained with are divided by `factor`, short ones stay, those between are blended.
  struct Llama3 {
    double factor = 8;
    double low_frequency_factor = 1;
    double high_frequency_factor = 4;
    int64_t original_positions = 8192;
  };

  double theta = 10000;
  double linear_factor = 1;  ///< all frequencies are divided by it ("linear" scaling)
  std::optional<Llama3> llama3{};
  /// mRoPE (Qwen2-VL): the first sections[0] pairs turn by the first axis of a position, the next
  /// sections[1] by the second, and so on; empty: positions have one axis.
  std::vector<int64_t> sections{};

  int64_t axes() const { return sections.empty() ? 1 : static_cast<int64_t>(sections.size()); }
};

/// Rotary position embedding with the rotate-half pairing of Hugging Face's LLaMA: dimension d is
/// paired with d + head_dim / 2, angle position * theta^(-2d / head_dim). Angles are kept in fp32.
/// Wherever positions or offsets are taken, int64 [n] gives all axes of a rule with sections the
/// same position, int64 [axes, n] each its own.
class RotaryTable {
 public:
  /// The angles of some positions, looked up once for all layers of a step.
  struct Angles {
    at::Tensor cos;  ///< [positions, head_dim], both halves, in the dtype that is rotated
    at::Tensor sin;  ///< [positions, head_dim], first half negated
  };

  RotaryTable(int64_t head_dim, const RotaryRule& rule, int64_t max_positions, c10::Device device);

  int64_t max_positions() const { return cos_.size(0); }
  /// f64 [head_dim / 2]: radians per position of each pair, the fp32 values that the table was made
  /// from, on the CPU.
  const at::Tensor& frequencies() const { return frequencies_; }
  /// positions: int64 [n] or [axes, n] on the table's device.
  Angles angles(const at::Tensor& positions, c10::ScalarType dtype) const;
  /// The angles of `positions`, int64 [n] on the tables' device, n a multiple of the number of
  /// tables: the first ones in the first table, as many in the next, and so on.
  static Angles angles_of_rows(const std::vector<const RotaryTable*>& tables,
                               const at::Tensor& positions, c10::ScalarType dtype);

  /// x: [heads, tokens, head_dim]; positions: int64 [tokens] or [axes, tokens] on x's device.
  /// Returns x rotated, same dtype.
  at::Tensor rotate(const at::Tensor& x, const at::Tensor& positions) const;
  /// The inverse: takes a rotation by `positions` off again, computed in fp32.
  at::Tensor unrotate(const at::Tensor& x, const at::Tensor& positions) const;
  /// Turns x on by signed `offsets`, int64 [tokens] or [axes, tokens] on x's device, each within
  /// +-(max_positions - 1): rotated by p, then turned by o, is rotated by p + o. Computed in fp32
  /// and returned as such.
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
  /// fp32 angles of signed positions.
  Angles signed_angles(const at::Tensor& positions) const;

  std::vector<int64_t> sections_;
  at::Tensor frequencies_;
  at::Tensor cos_;
  at::Tensor sin_;
};

namespace cpu {
/// fp32 and bf16 in one pass; bits may differ from the operators' in bf16, which round in between.
void rotate_rows_in_place(const at::Tensor& x, const RotaryTable::Angles& angles);
}  // namespace cpu

}  // namespace elastikv
