#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/clones.h"
#include "kernels/cpu/lanes.h"
#include "kernels/linear.h"

namespace elastikv::cpu {
namespace {

/// Weight rows that are multiplied together: as many independent sums as hide the latency of one.
constexpr int64_t kOutputs = 4;
/// Input rows that share one reading of the weights from the first-level cache.
constexpr int kInputs = 4;

/// Bytes ahead of the one in use that a weight is asked for: rows are too short for the processor
/// to notice by itself that they follow each other, and bf16 took 1.7 times as long without.
constexpr int64_t kAhead = 8192;

struct Product {
  const void* weight;    // [out, in]
  const float* x;        // [rows, in]
  const void* bias;      // [out], or null
  const void* residual;  // [rows, out], or null: added to the rounded product
  void* y;               // [rows, out]
  int64_t in;
  int64_t out;
  int64_t rows;
};

template <int kRows, int kOut, typename T>
ELASTIKV_INLINE void block(const Product& p, int64_t row, int64_t output) {
  const T* weight = static_cast<const T*>(p.weight) + output * p.in;
  const float* x = p.x + row * p.in;
  Lanes sums[kRows][kOut];
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOut; ++o) sums[r][o] = Lanes{};
  }
  int64_t k = 0;
  for (; k + kLanes <= p.in; k += kLanes) {
    Lanes inputs[kRows];
    for (int r = 0; r < kRows; ++r) load(x + r * p.in + k, inputs[r]);
    for (int o = 0; o < kOut; ++o) {
      const T* here = weight + o * p.in + k;
      __builtin_prefetch(reinterpret_cast<const char*>(here) + kAhead);
      Lanes w;
      load(here, w);
      for (int r = 0; r < kRows; ++r) sums[r][o] += inputs[r] * w;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOut; ++o) {
      float total = sum(sums[r][o]);
      for (int64_t rest = k; rest < p.in; ++rest)
        total += x[r * p.in + rest] * widen(weight[o * p.in + rest]);
      if (p.bias != nullptr) total += widen(static_cast<const T*>(p.bias)[output + o]);
      const int64_t at = (row + r) * p.out + output + o;
      T rounded;
      narrow(total, rounded);
      if (p.residual != nullptr)
        narrow(widen(rounded) + widen(static_cast<const T*>(p.residual)[at]), rounded);
      static_cast<T*>(p.y)[at] = rounded;
    }
  }
}

template <int kOut, typename T>
ELASTIKV_INLINE void all_rows(const Product& p, int64_t output) {
  int64_t row = 0;
  for (; row + kInputs <= p.rows; row += kInputs) block<kInputs, kOut, T>(p, row, output);
  if (p.rows - row == 3) block<3, kOut, T>(p, row, output);
  if (p.rows - row == 2) block<2, kOut, T>(p, row, output);
  if (p.rows - row == 1) block<1, kOut, T>(p, row, output);
}

template <typename T>
ELASTIKV_INLINE void outputs(const Product& p, int64_t begin, int64_t end) {
  int64_t output = begin;
  for (; output + kOutputs <= end; output += kOutputs) all_rows<kOutputs, T>(p, output);
  for (; output < end; ++output) all_rows<1, T>(p, output);
}

ELASTIKV_CPU_CLONES void outputs_fp32(const Product& p, int64_t begin, int64_t end) {
  outputs<float>(p, begin, end);
}
ELASTIKV_CPU_CLONES void outputs_bf16(const Product& p, int64_t begin, int64_t end) {
  outputs<uint16_t>(p, begin, end);
}
ELASTIKV_CPU_CLONES void widen_all(const uint16_t* from, float* to, int64_t size) {
  for (int64_t i = 0; i < size; ++i) to[i] = widen(from[i]);
}

/// x as fp32, in a buffer that the thread's next call uses again.
const float* as_floats(const at::Tensor& x) {
  if (x.scalar_type() == at::kFloat) return x.const_data_ptr<float>();
  static thread_local std::vector<float> buffer;
  const auto size = static_cast<size_t>(x.numel());
  if (buffer.size() < size) buffer.resize(size);
  widen_all(static_cast<const uint16_t*>(x.const_data_ptr()), buffer.data(), x.numel());
  return buffer.data();
}

}  // namespace

at::Tensor few_rows_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& residual) {
  const at::ScalarType dtype = weight.scalar_type();
  ELASTIKV_ASSERT(dtype == at::kFloat || dtype == at::kBFloat16, "dtype {}", c10::toString(dtype));
  ELASTIKV_ASSERT(weight.is_contiguous() && x.dim() == 2 && x.size(1) == weight.size(1) &&
                      x.scalar_type() == dtype && (!bias.defined() || bias.is_contiguous()),
                  "x [rows, in] and a contiguous weight [out, in] of its dtype are needed");
  ELASTIKV_ASSERT(
      !residual.defined() || (residual.is_contiguous() && residual.scalar_type() == dtype &&
                              residual.size(0) == x.size(0) && residual.size(1) == weight.size(0)),
      "a contiguous residual [rows, out] is needed");
  const at::Tensor inputs = x.contiguous();
  at::Tensor y =
      residual.defined() ? residual : at::empty({x.size(0), weight.size(0)}, weight.options());
  const Product product{.weight = weight.const_data_ptr(),
                        .x = as_floats(inputs),
                        .bias = bias.defined() ? bias.const_data_ptr() : nullptr,
                        .residual = residual.defined() ? residual.const_data_ptr() : nullptr,
                        .y = y.data_ptr(),
                        .in = x.size(1),
                        .out = weight.size(0),
                        .rows = x.size(0)};
  const int64_t blocks = (product.out + kOutputs - 1) / kOutputs;
  at::parallel_for(0, blocks, /*grain_size=*/16, [&](int64_t begin, int64_t end) {
    const int64_t last = std::min(end * kOutputs, product.out);
    (dtype == at::kFloat ? outputs_fp32 : outputs_bf16)(product, begin * kOutputs, last);
  });
  return y;
}

}  // namespace elastikv::cpu
