#include "kernels/finite.h"

#include <cmath>

#include <ATen/ops/isfinite.h>
#include <ATen/ops/sum.h>

namespace elastikv {

bool all_finite(const at::Tensor& values) {
  if (!values.defined() || values.numel() == 0) return true;
  const bool wide = values.scalar_type() == at::kDouble;
  const at::Tensor sum = at::sum(values, wide ? at::kDouble : at::kFloat);
  return std::isfinite(sum.item<double>()) || at::isfinite(values).all().item<bool>();
}

}  // namespace elastikv
