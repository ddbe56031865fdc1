#include "kernels/activation.h"

#include "kernels/accelerator.h"

namespace elastikv {

at::Tensor gated_silu(const at::Tensor& x) {
  const at::ScalarType dtype = x.scalar_type();
  if (x.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16)) return cpu::gated_silu(x);
  const Accelerator* accelerator = accelerator_of(x.device());
  return accelerator != nullptr && accelerator->has_elementwise(dtype) ? accelerator->gated_silu(x)
                                                                       : reference::gated_silu(x);
}

}  // namespace elastikv
