#include "kernels/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/roll.h>

#include "base/error.h"

namespace elastikv {
namespace {

at::Tensor turn(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  // Rolling by half the head swaps the halves; the sign lives in the table.
  return x * cos + at::roll(x, x.size(-1) / 2, -1) * sin;
}

}  // namespace

RotaryTable::RotaryTable(int64_t head_dim, double theta, int64_t max_positions,
                         c10::Device device) {
  ELASTIKV_ASSERT(head_dim % 2 == 0, "head_dim {} is odd", head_dim);
  // The same fp32 operations in the same order as transformers' default rope, so that angles are
  // equal to the last bit.
  const at::Tensor exponents =
      at::arange(0, head_dim, 2, at::kFloat) / static_cast<double>(head_dim);
  const at::Tensor inverse_frequencies = at::reciprocal(at::pow(theta, exponents));
  frequencies_ = inverse_frequencies.to(at::kDouble);
  const at::Tensor angles = at::outer(at::arange(max_positions, at::kFloat), inverse_frequencies);
  cos_ = at::cat({angles.cos(), angles.cos()}, -1).to(device);
  sin_ = at::cat({-angles.sin(), angles.sin()}, -1).to(device);
}

RotaryTable::Angles RotaryTable::angles(const at::Tensor& positions, c10::ScalarType dtype) const {
  return {cos_.index_select(0, positions).to(dtype), sin_.index_select(0, positions).to(dtype)};
}

at::Tensor RotaryTable::rotate(const at::Tensor& x, const at::Tensor& positions) const {
  const Angles a = angles(positions, x.scalar_type());
  return turn(x, a.cos, a.sin);
}

at::Tensor RotaryTable::unrotate(const at::Tensor& x, const at::Tensor& positions) const {
  const Angles a = angles(positions, at::kFloat);
  return turn(x.to(at::kFloat), a.cos, -a.sin).to(x.scalar_type());
}

at::Tensor RotaryTable::turn_by(const at::Tensor& x, const at::Tensor& offsets) const {
  const Angles a = angles(offsets.abs(), at::kFloat);
  return turn(x.to(at::kFloat), a.cos, a.sin * offsets.sign().unsqueeze(-1));
}

at::Tensor RotaryTable::rotate_rows(const at::Tensor& x, const Angles& angles) {
  return turn(x, angles.cos.unsqueeze(1), angles.sin.unsqueeze(1));
}

void RotaryTable::rotate_rows_in_place(const at::Tensor& x, const Angles& angles) {
  const at::ScalarType dtype = x.scalar_type();
  if (x.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16)) {
    cpu::rotate_rows_in_place(x, angles);
  } else {
    x.copy_(rotate_rows(x, angles));
  }
}

}  // namespace elastikv
