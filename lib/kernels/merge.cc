#include "kernels/merge.h"

#ifdef ELASTIKV_WITH_CUDA
#include "kernels/cuda/merge.h"
#endif

namespace elastikv {

at::Tensor gather_and_merge(const at::Tensor& x, const MergeRows& rows) {
  // Turns by positions of several axes are rare: plain operators do.
  if (rows.turns.defined() && rows.turns.dim() == 2) return reference::gather_and_merge(x, rows);
#ifdef ELASTIKV_WITH_CUDA
  if (x.is_cuda()) return cuda::gather_and_merge(x, rows);
#endif
  const at::ScalarType dtype = x.scalar_type();
  const bool direct =
      x.is_cpu() && x.stride(2) == 1 && (dtype == at::kFloat || dtype == at::kBFloat16);
  return direct ? cpu::gather_and_merge(x, rows) : reference::gather_and_merge(x, rows);
}

}  // namespace elastikv
