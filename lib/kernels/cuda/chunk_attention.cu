#include "kernels/cuda/chunk_attention.cuh"

namespace elastikv::cuda {
namespace {

constexpr int kCombineThreads = 128;
constexpr int kCombineWarps = kCombineThreads / kWarp;

/// Puts the splits of heads that have several together; a warp for each query.
template <typename T>
__global__ void __launch_bounds__(kCombineThreads)
    combine_chunk_splits(ChunkTask task, int results) {
  const int result =
      static_cast<int>(blockIdx.x) * kCombineWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (result >= results) return;
  const int head_queries = task.tokens * task.group;
  const int head_index = result / head_queries;
  const ChunkHeadTask head = task.head_tasks[head_index];
  if (head.span >= head.length) return;
  const int splits = (head.length + head.span - 1) / head.span;
  const size_t first = static_cast<size_t>(result) * task.splits;

  float largest = -INFINITY;
  for (int s = 0; s < splits; ++s) largest = fmaxf(largest, task.partial_max[first + s]);
  float total = 0;
  for (int s = 0; s < splits; ++s)
    total += task.partial_total[first + s] * exp2f(task.partial_max[first + s] - largest);
  T* output = output_of<T>(task, head_index / task.kv_heads, head_index % task.kv_heads,
                           result % head_queries);
  for (int column = static_cast<int>(threadIdx.x) % kWarp * kVector<float>; column < task.head_dim;
       column += kWarp * kVector<float>) {
    float sums[kVector<float>] = {};
    for (int s = 0; s < splits; ++s) {
      const float factor = exp2f(task.partial_max[first + s] - largest) / total;
      const Vector<float> part =
          load_vector(task.partial_output + (first + s) * task.head_dim + column);
#pragma unroll
      for (int e = 0; e < kVector<float>; ++e) sums[e] = fmaf(part.x[e], factor, sums[e]);
    }
#pragma unroll
    for (int e = 0; e < kVector<float>; ++e) store(output + column + e, sums[e]);
  }
}

template <typename T>
void launch_combine(const ChunkTask& task, Stream stream) {
  const int results = task.rows * task.kv_heads * task.tokens * task.group;
  launch("chunk attention's splits", combine_chunk_splits<T>,
         dim3(static_cast<unsigned>((results + kCombineWarps - 1) / kCombineWarps)),
         dim3(kCombineThreads), /*shared=*/0, stream, task, results);
}

}  // namespace

void launch_chunk_attention(const ChunkTask& task, Stream stream) {
  if (task.element == Element::kFloat) {
    launch_plain_chunk(task, stream);
  } else {
    launch_tensor_chunk(task, stream);
  }
  if (task.splits == 1) return;
  for_element(task.element, [&](auto element) { launch_combine<decltype(element)>(task, stream); });
}

}  // namespace elastikv::cuda
