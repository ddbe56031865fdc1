#include "kernels/merge.h"

#include "kernels/accelerator.h"

namespace elastikv {

at::Tensor gather_and_merge(const at::Tensor& x, const MergeRows& rows) {
  // Turns by positions of several axes are rare: plain operators do.
  if (rows.turns.defined() && rows.turns.dim() == 2) return reference::gather_and_merge(x, rows);
  if (const Accelerator* accelerator = accelerator_of(x.device()))
    return accelerator->gather_and_merge(x, rows);
  const at::ScalarType dtype = x.scalar_type();
  const bool direct =
      x.is_cpu() && x.stride(2) == 1 && (dtype == at::kFloat || dtype == at::kBFloat16);
  return direct ? cpu::gather_and_merge(x, rows) : reference::gather_and_merge(x, rows);
}

}  // namespace elastikv
