#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {
namespace {

constexpr int kAppendThreads = 64;

/// One head turned by its row's angles; `to` may be `from`. Compiled without fused multiply-adds,
/// so that fp32 gives what the operators of the other paths give.
template <typename T>
__device__ void rotate_head(const T* from, T* to, const T* cos, const T* sin, int head_dim) {
  const int half = head_dim / 2;
  for (int d = threadIdx.x; d < half; d += kAppendThreads) {
    const float a = to_float(from[d]);
    const float b = to_float(from[d + half]);
    store(to + d, a * to_float(cos[d]) + b * to_float(sin[d]));
    store(to + d + half, b * to_float(cos[d + half]) + a * to_float(sin[d + half]));
  }
}

/// Blocks: x over rows x tokens x (query heads, then KV heads). A query is rotated in place, a key
/// on its way to the cache, a value is copied there.
template <typename T>
__global__ void __launch_bounds__(kAppendThreads) rotate_and_append(AppendTask task) {
  const int heads = task.kv_heads * (task.group + 1);
  const int row = static_cast<int>(blockIdx.x) / heads;  // of a token
  const int index = static_cast<int>(blockIdx.x) % heads;
  const int query_heads = task.kv_heads * task.group;
  const T* cos = static_cast<const T*>(task.cos) + static_cast<size_t>(row) * task.head_dim;
  const T* sin = static_cast<const T*>(task.sin) + static_cast<size_t>(row) * task.head_dim;
  if (index < query_heads) {
    T* query = static_cast<T*>(task.queries) + row * task.query_stride +
               static_cast<int64_t>(index) * task.head_dim;
    rotate_head(query, query, cos, sin, task.head_dim);
    return;
  }
  const int kv_head = index - query_heads;
  const HeadSlots head = task.rows[row / task.tokens].heads[task.first_head + kv_head];
  const int slot = *head.length - task.tokens + row % task.tokens;
  const int entry = head.places == nullptr ? slot : ~head.places[slot];
  const auto to = static_cast<size_t>(entry) * task.head_dim;
  const int64_t offset = static_cast<int64_t>(kv_head) * task.head_dim;
  const T* key = static_cast<const T*>(task.keys) + row * task.key_stride + offset;
  const T* value = static_cast<const T*>(task.values) + row * task.value_stride + offset;
  rotate_head(key, static_cast<T*>(head.keys) + to, cos, sin, task.head_dim);
  T* value_entry = static_cast<T*>(head.values) + to;
  for (int d = threadIdx.x; d < task.head_dim; d += kAppendThreads) value_entry[d] = value[d];
}

template <typename T>
void launch_append(const AppendTask& task, Stream stream) {
  launch(
      "the new tokens' entries", rotate_and_append<T>,
      dim3(static_cast<unsigned>(task.row_count * task.tokens * task.kv_heads * (task.group + 1))),
      dim3(kAppendThreads), /*shared=*/0, stream, task);
}

}  // namespace

void launch_rotate_and_append(const AppendTask& task, Stream stream) {
  for_element(task.element, [&](auto element) { launch_append<decltype(element)>(task, stream); });
}

}  // namespace elastikv::cuda
