#include "kernels/norm.h"

namespace elastikv {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::ScalarType dtype = x.scalar_type();
  if (x.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16) &&
      weight.scalar_type() == dtype && weight.is_contiguous())
    return cpu::rms_norm(x, weight, eps);
  return reference::rms_norm(x, weight, eps);
}

}  // namespace elastikv
