#include "kernels/norm.h"

#include <cmath>
#include <cstdint>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/clones.h"

namespace elastikv::cpu {
namespace {

template <typename T>
inline __attribute__((always_inline)) void normalize(const void* from, const void* weights,
                                                     void* to, int64_t size, float eps) {
  const T* x = static_cast<const T*>(from);
  const T* weight = static_cast<const T*>(weights);
  T* out = static_cast<T*>(to);
  float sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += widen(x[i]) * widen(x[i]);
  const float scale = 1.0F / std::sqrt(sum / static_cast<float>(size) + eps);
  for (int64_t i = 0; i < size; ++i) {
    T normalized;
    narrow(widen(x[i]) * scale, normalized);
    narrow(widen(normalized) * widen(weight[i]), out[i]);
  }
}

ELASTIKV_CPU_CLONES void normalize_fp32(const void* x, const void* weight, void* out, int64_t size,
                                        float eps) {
  normalize<float>(x, weight, out, size, eps);
}
ELASTIKV_CPU_CLONES void normalize_bf16(const void* x, const void* weight, void* out, int64_t size,
                                        float eps) {
  normalize<uint16_t>(x, weight, out, size, eps);
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor rows = x.contiguous();
  ELASTIKV_ASSERT(weight.scalar_type() == rows.scalar_type() && weight.is_contiguous(),
                  "a norm's weight must be contiguous and of its input's dtype");
  at::Tensor out = at::empty(x.sizes(), x.options());
  const int64_t size = x.size(-1);
  const bool wide = rows.scalar_type() == at::kFloat;
  const size_t row = static_cast<size_t>(size) * rows.element_size();
  const auto* in = static_cast<const char*>(rows.const_data_ptr());
  auto* to = static_cast<char*>(out.data_ptr());
  // Below a few rows a second thread costs more than it brings.
  at::parallel_for(0, x.numel() / size, /*grain_size=*/16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto r = static_cast<size_t>(i);
      (wide ? normalize_fp32 : normalize_bf16)(in + r * row, weight.const_data_ptr(), to + r * row,
                                               size, static_cast<float>(eps));
    }
  });
  return out;
}

}  // namespace elastikv::cpu
