#include "kernels/activation.h"

#include <ATen/ops/silu.h>

namespace elastikv::reference {

at::Tensor gated_silu(const at::Tensor& x) {
  const int64_t size = x.size(-1) / 2;
  return at::silu(x.narrow(-1, 0, size)).mul_(x.narrow(-1, size, size));
}

}  // namespace elastikv::reference
