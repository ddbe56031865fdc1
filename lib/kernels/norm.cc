#include "kernels/norm.h"

namespace elastikv {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (x.is_cpu() && x.scalar_type() == at::kFloat && weight.is_contiguous())
    return cpu::rms_norm(x, weight, eps);
  return reference::rms_norm(x, weight, eps);
}

}  // namespace elastikv
