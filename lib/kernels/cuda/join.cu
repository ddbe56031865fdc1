#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {
namespace {

constexpr int kJoinThreads = 128;

/// One head's key or value. Compiled without fused multiply-adds, so that sums are those of the CPU
/// to the last bit.
template <typename T>
__device__ void join_entry(const SlotJoin& join, const JoinSource* sources, bool turned, void* own,
                           const void* of_prompt, int head_dim) {
  const int source_count = join.source_count;
  const T* anchor = place_entry<T>(join.from, own, of_prompt, head_dim);
  T* output = static_cast<T*>(own) + static_cast<size_t>(~join.to) * head_dim;
  float total = join.weight;
  for (int i = 0; i < source_count; ++i) total += sources[i].weight;
  const int half = head_dim / 2;
  for (int d = threadIdx.x; d < head_dim; d += kJoinThreads) {
    float sum = to_float(anchor[d]) * join.weight;
    for (int i = 0; i < source_count; ++i) {
      const T* source = place_entry<T>(sources[i].place, own, of_prompt, head_dim);
      float value = to_float(source[d]);
      if (turned) {
        const int turn = sources[i].turn;
        const size_t angle = static_cast<size_t>(turn < 0 ? -turn : turn) * head_dim + d;
        const float sign = turn < 0 ? -1.0F : 1.0F;
        const float paired = to_float(source[d < half ? d + half : d - half]);
        value = value * join.cos[angle] + paired * (join.sin[angle] * sign);
      }
      sum += value * sources[i].weight;
    }
    // Nothing of any weight joined: the mean is the entry itself, bit for bit.
    if (!join.mean) {
      store(output + d, sum);
    } else if (total == join.weight) {
      output[d] = anchor[d];
    } else {
      store(output + d, sum / total);
    }
  }
}

/// Blocks: x over joins, y over their heads.
template <typename T>
__global__ void __launch_bounds__(kJoinThreads)
    join_slots(const SlotJoin* joins, const unsigned char* sent, int head_dim) {
  const SlotJoin join = joins[blockIdx.x];
  if (static_cast<int>(blockIdx.y) >= join.head_count) return;
  const HeadSlots head = join.heads[blockIdx.y];
  const auto* sources = reinterpret_cast<const JoinSource*>(sent + join.sources);
  if (join.keys) {
    join_entry<T>(join, sources, join.cos != nullptr, head.keys, head.prompt_keys, head_dim);
  } else if (join.from != join.to) {
    const T* key = place_entry<T>(join.from, head.keys, head.prompt_keys, head_dim);
    T* copy = static_cast<T*>(head.keys) + static_cast<size_t>(~join.to) * head_dim;
    for (int d = threadIdx.x; d < head_dim; d += kJoinThreads) copy[d] = key[d];
  }
  join_entry<T>(join, sources, /*turned=*/false, head.values, head.prompt_values, head_dim);
}

template <typename T>
void launch_join(const JoinTask& task, Stream stream) {
  launch("joining of entries", join_slots<T>,
         dim3(static_cast<unsigned>(task.count), static_cast<unsigned>(task.most_heads)),
         dim3(kJoinThreads), /*shared=*/0, stream, task.joins, task.sent, task.head_dim);
}

}  // namespace

void launch_join_slots(const JoinTask& task, Stream stream) {
  for_element(task.element, [&](auto element) { launch_join<decltype(element)>(task, stream); });
}

}  // namespace elastikv::cuda
