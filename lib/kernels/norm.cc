#include "kernels/norm.h"

#include "kernels/accelerator.h"

namespace elastikv {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::ScalarType dtype = x.scalar_type();
  if (weight.scalar_type() != dtype || !weight.is_contiguous())
    return reference::rms_norm(x, weight, eps);
  if (x.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16))
    return cpu::rms_norm(x, weight, eps);
  const Accelerator* accelerator = accelerator_of(x.device());
  return accelerator != nullptr && accelerator->has_elementwise(dtype)
             ? accelerator->rms_norm(x, weight, eps)
             : reference::rms_norm(x, weight, eps);
}

}  // namespace elastikv
