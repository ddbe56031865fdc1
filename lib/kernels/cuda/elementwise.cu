#include <cmath>

#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {
namespace {

constexpr int kNormThreads = 256;
constexpr int kGateThreads = 256;

/// One block per row. The normalized row is rounded before the weight is applied, as in
/// transformers' LlamaRMSNorm.
template <typename T>
__global__ void __launch_bounds__(kNormThreads) normalize(NormTask task) {
  const int64_t row = blockIdx.x;
  const T* x = static_cast<const T*>(task.x) + row / task.heads * task.row_stride +
               row % task.heads * task.head_stride;
  const T* weight = static_cast<const T*>(task.weight);
  T* output = static_cast<T*>(task.output) + row * task.size;
  float sum = 0;
  for (int i = threadIdx.x; i < task.size; i += kNormThreads)
    sum += to_float(x[i]) * to_float(x[i]);
  auto* sums = reinterpret_cast<float*>(shared_memory());  // [warps]
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = sum;
  __syncthreads();
  float total = 0;
  for (int w = 0; w < kNormThreads / kWarp; ++w) total += sums[w];
  const float scale = 1.0F / sqrtf(total / static_cast<float>(task.size) + task.eps);
  for (int i = threadIdx.x; i < task.size; i += kNormThreads) {
    T normalized;
    store(&normalized, to_float(x[i]) * scale);
    store(output + i, to_float(normalized) * to_float(weight[i]));
  }
}

/// silu(first half) * second half of each row, the first factor rounded as an operator rounds it.
template <typename T>
__global__ void __launch_bounds__(kGateThreads) gate(GateTask task) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kGateThreads;
  const T* x = static_cast<const T*>(task.x);
  T* output = static_cast<T*>(task.output);
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kGateThreads + threadIdx.x; i < task.count;
       i += step) {
    const int64_t row = i / task.size;
    const T* gates = x + (i + row * task.size);
    const float value = to_float(*gates);
    T activated;
    store(&activated, value / (1.0F + expf(-value)));
    store(output + i, to_float(activated) * to_float(gates[task.size]));
  }
}

template <typename T>
void launch_norm(const NormTask& task, Stream stream) {
  launch("a norm", normalize<T>, dim3(static_cast<unsigned>(task.rows)), dim3(kNormThreads),
         kNormThreads / kWarp * sizeof(float), stream, task);
}

template <typename T>
void launch_gate(const GateTask& task, Stream stream) {
  constexpr int64_t kMostBlocks = 4096;
  const int64_t blocks = min((task.count + kGateThreads - 1) / kGateThreads, kMostBlocks);
  launch("an activation", gate<T>, dim3(static_cast<unsigned>(blocks)), dim3(kGateThreads),
         /*shared=*/0, stream, task);
}

}  // namespace

void launch_rms_norm(const NormTask& task, Stream stream) {
  for_element(task.element, [&](auto element) { launch_norm<decltype(element)>(task, stream); });
}

void launch_gated_silu(const GateTask& task, Stream stream) {
  for_element(task.element, [&](auto element) { launch_gate<decltype(element)>(task, stream); });
}

}  // namespace elastikv::cuda
