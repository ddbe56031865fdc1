#include "kernels/cuda/elementwise.h"

#include <vector>

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>

#include "base/error.h"
#include "kernels/cuda/runtime.h"

namespace elastikv::cuda {

at::Tensor rms_norm(const at::Tensor& given, const at::Tensor& weight, double eps) {
  ELASTIKV_ASSERT(weight.scalar_type() == given.scalar_type() && weight.is_contiguous(),
                  "a norm's weight must be contiguous and of its input's dtype");
  const c10::DeviceGuard guard(given.device());
  const bool heads = given.dim() == 3 && given.stride(2) == 1;
  const at::Tensor x = heads || given.is_contiguous() ? given : given.contiguous();
  at::Tensor output = at::empty(x.sizes(), x.options());
  if (output.numel() == 0) return output;
  NormTask task;
  task.x = x.const_data_ptr();
  task.weight = weight.const_data_ptr();
  task.output = output.data_ptr();
  task.size = static_cast<int>(x.size(-1));
  task.rows = x.numel() / task.size;
  task.heads = heads ? x.size(1) : 1;
  task.row_stride = heads ? x.stride(0) : task.size;
  task.head_stride = heads ? x.stride(1) : 0;
  task.eps = static_cast<float>(eps);
  task.element = element_of(x.scalar_type());
  launch_rms_norm(task, current_stream(x.device()));
  return output;
}

at::Tensor gated_silu(const at::Tensor& given) {
  const c10::DeviceGuard guard(given.device());
  const at::Tensor x = given.contiguous();
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() /= 2;
  at::Tensor output = at::empty(shape, x.options());
  if (output.numel() == 0) return output;
  GateTask task;
  task.x = x.const_data_ptr();
  task.output = output.data_ptr();
  task.size = shape.back();
  task.count = output.numel();
  task.element = element_of(x.scalar_type());
  launch_gated_silu(task, current_stream(x.device()));
  return output;
}

}  // namespace elastikv::cuda
