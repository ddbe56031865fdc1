#include "kernels/activation.h"

#include <cstdint>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "kernels/cpu/bf16.h"
#include "kernels/cpu/clones.h"
#include "kernels/cpu/exp.h"

namespace elastikv::cpu {
namespace {

template <typename T>
inline __attribute__((always_inline)) void gate(const void* from, void* to, int64_t size) {
  const T* x = static_cast<const T*>(from);
  T* out = static_cast<T*>(to);
  for (int64_t i = 0; i < size; ++i) {
    const float a = widen(x[i]);
    narrow(a / (1.0F + exp(-a)) * widen(x[size + i]), out[i]);
  }
}

ELASTIKV_CPU_CLONES void gate_fp32(const void* x, void* out, int64_t size) {
  gate<float>(x, out, size);
}
ELASTIKV_CPU_CLONES void gate_bf16(const void* x, void* out, int64_t size) {
  gate<uint16_t>(x, out, size);
}

}  // namespace

at::Tensor gated_silu(const at::Tensor& x) {
  const at::Tensor in = x.contiguous();
  const int64_t size = in.size(1) / 2;
  at::Tensor out = at::empty({in.size(0), size}, in.options());
  const bool wide = in.scalar_type() == at::kFloat;
  const size_t row = static_cast<size_t>(size) * in.element_size();
  const auto* from = static_cast<const char*>(in.const_data_ptr());
  auto* to = static_cast<char*>(out.data_ptr());
  at::parallel_for(0, in.size(0), /*grain_size=*/4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto r = static_cast<size_t>(i);
      (wide ? gate_fp32 : gate_bf16)(from + 2 * r * row, to + r * row, size);
    }
  });
  return out;
}

}  // namespace elastikv::cpu
