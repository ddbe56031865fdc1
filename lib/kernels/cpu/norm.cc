#include "kernels/norm.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "kernels/cpu/clones.h"

namespace elastikv::cpu {
namespace {

ELASTIKV_CPU_CLONES void normalize_row(const float* x, const float* weight, float* out,
                                       int64_t size, float eps) {
  float sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += x[i] * x[i];
  const float scale = 1.0F / std::sqrt(sum / static_cast<float>(size) + eps);
  for (int64_t i = 0; i < size; ++i) out[i] = x[i] * scale * weight[i];
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor rows = x.contiguous();
  const at::Tensor out = at::empty(x.sizes(), x.options());
  const int64_t size = x.size(-1);
  const auto* in = rows.const_data_ptr<float>();
  const auto* w = weight.const_data_ptr<float>();
  auto* to = out.data_ptr<float>();
  // Below a few rows a second thread costs more than it brings.
  at::parallel_for(0, x.numel() / size, /*grain_size=*/16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      normalize_row(in + r * size, w, to + r * size, size, static_cast<float>(eps));
    }
  });
  return out;
}

}  // namespace elastikv::cpu
