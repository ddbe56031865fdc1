#include "kernels/activation.h"

namespace elastikv {

at::Tensor gated_silu(const at::Tensor& x) {
  const at::ScalarType dtype = x.scalar_type();
  return x.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16) ? cpu::gated_silu(x)
                                                                       : reference::gated_silu(x);
}

}  // namespace elastikv
