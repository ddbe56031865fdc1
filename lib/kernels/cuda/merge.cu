#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {
namespace {

constexpr int kMergeThreads = 128;

/// One block per kept slot (x) and head (y); a thread has every kMergeThreads-th dimension. The
/// file is compiled without fused multiply-adds, so that sums are those of the CPU to the last bit.
template <typename T>
__global__ void __launch_bounds__(kMergeThreads) merge_slot(MergeTask task) {
  const auto slot = static_cast<int64_t>(blockIdx.x);
  const T* x = static_cast<const T*>(task.x) + blockIdx.y * task.head_stride;
  const T* anchor = x + task.kept_slots[slot] * task.slot_stride;
  T* output = static_cast<T*>(task.output) + (blockIdx.y * task.kept + slot) * task.head_dim;
  const int64_t begin = lower_bound(task.anchor, task.merges, slot);
  const int64_t end = begin + lower_bound(task.anchor + begin, task.merges - begin, slot + 1);
  const float weight = task.anchor_weight == nullptr ? 1.0F : task.anchor_weight[slot];
  float total = weight;
  for (int64_t i = begin; i < end; ++i)
    total += task.source_weight == nullptr ? 1.0F : task.source_weight[i];

  const int half = task.head_dim / 2;
  for (int d = threadIdx.x; d < task.head_dim; d += kMergeThreads) {
    float sum = to_float(anchor[d]) * weight;
    for (int64_t i = begin; i < end; ++i) {
      const T* source = x + task.source[i] * task.slot_stride;
      float value = to_float(source[d]);
      if (task.turns != nullptr) {
        const int64_t turn = task.turns[i];
        const int64_t angle = (turn < 0 ? -turn : turn) * task.head_dim + d;
        const float sign = turn < 0 ? -1.0F : 1.0F;
        const float paired = to_float(source[d < half ? d + half : d - half]);
        value = value * task.cos[angle] + paired * (task.sin[angle] * sign);
      }
      sum += task.source_weight == nullptr ? value : value * task.source_weight[i];
    }
    // Nothing joined (or nothing of any weight): the mean is the entry itself, bit for bit.
    if (!task.mean) {
      store(output + d, sum);
    } else if (total == weight) {
      output[d] = anchor[d];
    } else {
      store(output + d, sum / total);
    }
  }
}

template <typename T>
void launch_merge(const MergeTask& task, Stream stream) {
  launch("merging of slots", merge_slot<T>,
         dim3(static_cast<unsigned>(task.kept), static_cast<unsigned>(task.heads)),
         dim3(kMergeThreads), /*shared=*/0, stream, task);
}

}  // namespace

void launch_gather_and_merge(const MergeTask& task, Stream stream) {
  for_element(task.element, [&](auto element) { launch_merge<decltype(element)>(task, stream); });
}

}  // namespace elastikv::cuda
