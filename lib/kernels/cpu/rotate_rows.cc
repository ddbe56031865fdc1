#include <cstdint>

#include <ATen/Parallel.h>

#include "base/error.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/clones.h"
#include "kernels/rotary.h"

namespace elastikv::cpu {
namespace {

/// One head: x, cos and sin of `size` elements, sines negated in the first half.
template <typename T>
inline __attribute__((always_inline)) void rotate(void* at, const void* cosines, const void* sines,
                                                  int64_t size) {
  T* x = static_cast<T*>(at);
  const T* cos = static_cast<const T*>(cosines);
  const T* sin = static_cast<const T*>(sines);
  const int64_t half = size / 2;
  for (int64_t d = 0; d < half; ++d) {
    const float a = widen(x[d]);
    const float b = widen(x[d + half]);
    narrow(a * widen(cos[d]) + b * widen(sin[d]), x[d]);
    narrow(b * widen(cos[d + half]) + a * widen(sin[d + half]), x[d + half]);
  }
}

ELASTIKV_CPU_CLONES void rotate_fp32(void* x, const void* cos, const void* sin, int64_t size) {
  rotate<float>(x, cos, sin, size);
}
ELASTIKV_CPU_CLONES void rotate_bf16(void* x, const void* cos, const void* sin, int64_t size) {
  rotate<uint16_t>(x, cos, sin, size);
}

}  // namespace

void rotate_rows_in_place(const at::Tensor& x, const RotaryTable::Angles& angles) {
  ELASTIKV_ASSERT(x.dim() == 3 && x.stride(2) == 1 && angles.cos.is_contiguous() &&
                      angles.cos.scalar_type() == x.scalar_type() &&
                      angles.cos.size(0) == x.size(0) && angles.cos.size(1) == x.size(2),
                  "rows [rows, heads, head_dim] need angles [rows, head_dim] of their dtype");
  const bool wide = x.scalar_type() == at::kFloat;
  const int64_t element = wide ? 4 : 2;
  auto* data = static_cast<char*>(x.data_ptr());
  const auto* cos = static_cast<const char*>(angles.cos.const_data_ptr());
  const auto* sin = static_cast<const char*>(angles.sin.const_data_ptr());
  const int64_t heads = x.size(1);
  const int64_t size = x.size(2);
  at::parallel_for(0, x.size(0), /*grain_size=*/16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t angle = r * size * element;
      for (int64_t h = 0; h < heads; ++h) {
        (wide ? rotate_fp32 : rotate_bf16)(data + (r * x.stride(0) + h * x.stride(1)) * element,
                                           cos + angle, sin + angle, size);
      }
    }
  });
}

}  // namespace elastikv::cpu
