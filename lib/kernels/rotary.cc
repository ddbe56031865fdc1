#include "kernels/rotary.h"

#include <algorithm>
#include <numbers>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/where.h>

#include "base/error.h"

namespace elastikv {
namespace {

at::Tensor turn(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  // Rolling by half the head swaps the halves; the sign lives in the table.
  return x * cos + at::roll(x, x.size(-1) / 2, -1) * sin;
}

/// f32 [head_dim / 2]. The same fp32 operations in the same order as transformers', so that angles
/// are equal to the last bit.
at::Tensor inverse_frequencies_of(int64_t head_dim, const RotaryRule& rule) {
  const at::Tensor exponents =
      at::arange(0, head_dim, 2, at::kFloat) / static_cast<double>(head_dim);
  at::Tensor frequencies = at::reciprocal(at::pow(rule.theta, exponents));
  if (rule.linear_factor != 1) frequencies = frequencies / rule.linear_factor;
  if (!rule.llama3) return frequencies;
  // Source: the rope_type "llama3" of Llama 3.1's configuration, as transformers computes it.
  const RotaryRule::Llama3& llama3 = *rule.llama3;
  const auto context = static_cast<double>(llama3.original_positions);
  const at::Tensor wavelengths = at::reciprocal(frequencies) * (2 * std::numbers::pi);
  const at::Tensor slow = frequencies / llama3.factor;
  const at::Tensor share = (at::reciprocal(wavelengths) * context - llama3.low_frequency_factor) /
                           (llama3.high_frequency_factor - llama3.low_frequency_factor);
  const at::Tensor blended = (1 - share) * slow + share * frequencies;
  const at::Tensor is_long = wavelengths > context / llama3.low_frequency_factor;
  const at::Tensor is_short = wavelengths < context / llama3.high_frequency_factor;
  return at::where(is_long, slow, at::where(is_short, frequencies, blended));
}

}  // namespace

RotaryTable::RotaryTable(int64_t head_dim, const RotaryRule& rule, int64_t max_positions,
                         c10::Device device)
    : sections_(rule.sections) {
  ELASTIKV_ASSERT(head_dim % 2 == 0, "head_dim {} is odd", head_dim);
  const at::Tensor inverse_frequencies = inverse_frequencies_of(head_dim, rule);
  frequencies_ = inverse_frequencies.to(at::kDouble);
  const at::Tensor angles = at::outer(at::arange(max_positions, at::kFloat), inverse_frequencies);
  cos_ = at::cat({angles.cos(), angles.cos()}, -1).to(device);
  sin_ = at::cat({-angles.sin(), angles.sin()}, -1).to(device);
}

RotaryTable::Angles RotaryTable::angles(const at::Tensor& positions, c10::ScalarType dtype) const {
  if (positions.dim() == 1)
    return {cos_.index_select(0, positions).to(dtype), sin_.index_select(0, positions).to(dtype)};
  const Angles all = signed_angles(positions);
  return {all.cos.to(dtype), all.sin.to(dtype)};
}

RotaryTable::Angles RotaryTable::angles_of_rows(const std::vector<const RotaryTable*>& tables,
                                                const at::Tensor& positions,
                                                c10::ScalarType dtype) {
  ELASTIKV_ASSERT(!tables.empty(), "no tables");
  const auto is_first = [&](const RotaryTable* table) { return table == tables.front(); };
  // One lookup for all, where there is only one table.
  if (std::all_of(tables.begin(), tables.end(), is_first))
    return tables.front()->angles(positions, dtype);
  const int64_t each = positions.size(0) / static_cast<int64_t>(tables.size());
  std::vector<at::Tensor> cos;
  std::vector<at::Tensor> sin;
  for (size_t i = 0; i < tables.size(); ++i) {
    Angles row =
        tables[i]->angles(positions.narrow(0, static_cast<int64_t>(i) * each, each), dtype);
    cos.push_back(std::move(row.cos));
    sin.push_back(std::move(row.sin));
  }
  return {at::cat(cos), at::cat(sin)};
}

RotaryTable::Angles RotaryTable::signed_angles(const at::Tensor& positions) const {
  const auto of_axis = [&](const at::Tensor& axis) {
    const at::Tensor size = axis.abs();
    return Angles{cos_.index_select(0, size),
                  sin_.index_select(0, size) * axis.sign().unsqueeze(-1)};
  };
  if (positions.dim() == 1) return of_axis(positions);
  ELASTIKV_ASSERT(positions.size(0) == static_cast<int64_t>(sections_.size()),
                  "positions of {} axes, {} sections", positions.size(0), sections_.size());
  const int64_t half = cos_.size(1) / 2;
  std::vector<at::Tensor> cos;
  std::vector<at::Tensor> sin;
  int64_t first = 0;
  for (size_t i = 0; i < sections_.size(); ++i) {
    // Both halves of a table's cosines are equal, the sines' differ in sign.
    const Angles axis = of_axis(positions[static_cast<int64_t>(i)]);
    cos.push_back(axis.cos.narrow(1, first, sections_[i]));
    sin.push_back(axis.sin.narrow(1, half + first, sections_[i]));
    first += sections_[i];
  }
  const at::Tensor half_cos = at::cat(cos, 1);
  const at::Tensor half_sin = at::cat(sin, 1);
  return {at::cat({half_cos, half_cos}, 1), at::cat({-half_sin, half_sin}, 1)};
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
  const Angles a = signed_angles(offsets);
  return turn(x.to(at::kFloat), a.cos, a.sin);
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
