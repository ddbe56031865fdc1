#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {
namespace {

constexpr int kSlotThreads = 256;
constexpr int kSlotWarps = kSlotThreads / kWarp;
constexpr int kDigits = 256;

/// A key whose order as an unsigned number is that of the scores; the two zeros are equal.
__device__ unsigned ordered_key(float score) {
  const unsigned bits = __float_as_uint(score == 0.0F ? 0.0F : score);
  constexpr unsigned kSign = 0x80000000U;
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

struct TopPieces {
  unsigned* counts;  // [kDigits]
  int64_t* chosen;   // the prefix of the threshold so far, and how many of its equals are wanted
  int* above;        // [kSlotWarps]: slots of this round above the threshold
  int* equal;        // [kSlotWarps]: and at it
};

__host__ __device__ TopPieces top_pieces(unsigned char* memory, size_t& used) {
  SharedPieces shared(memory);
  TopPieces pieces;
  pieces.counts = shared.take<unsigned>(kDigits);
  pieces.chosen = shared.take<int64_t>(2);
  pieces.above = shared.take<int>(kSlotWarps);
  pieces.equal = shared.take<int>(kSlotWarps);
  used = shared.used();
  return pieces;
}

/// One block per row. The smallest kept key is found digit by digit from the top (counts of
/// integers, so the order of the atomic additions does not matter); then the slots are walked once
/// in order, those above it kept and of its equals the first ones.
__global__ void __launch_bounds__(kSlotThreads) select_slots(TopSlotsTask task) {
  size_t used = 0;
  const TopPieces shared = top_pieces(shared_memory(), used);
  const SlotRowTask row = task.row_tasks[blockIdx.x];
  const float* scores = task.scores + blockIdx.x * task.tokens;
  int64_t* kept = task.kept + blockIdx.x * task.most;
  const int64_t last = task.tokens - row.recent;  // candidates are slots sinks ... last - 1
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / kWarp;
  const int lane = thread % kWarp;

  unsigned threshold = 0;
  int64_t wanted = row.slots - row.sinks - row.recent;
  const bool none = wanted <= 0;
  for (int shift = 24; shift >= 0 && !none; shift -= 8) {
    for (int i = thread; i < kDigits; i += kSlotThreads) shared.counts[i] = 0;
    __syncthreads();
    for (int64_t slot = row.sinks + thread; slot < last; slot += kSlotThreads) {
      const unsigned key = ordered_key(scores[slot]);
      // Of keys that agree with the threshold in all digits above.
      if (shift == 24 || key >> (shift + 8) == threshold >> (shift + 8))
        atomicAdd(&shared.counts[key >> shift & (kDigits - 1)], 1U);
    }
    __syncthreads();
    if (thread == 0) {
      int digit = kDigits - 1;
      int64_t rest = wanted;
      while (digit > 0 && static_cast<int64_t>(shared.counts[digit]) < rest)
        rest -= shared.counts[digit--];
      shared.chosen[0] = threshold | static_cast<unsigned>(digit) << shift;
      shared.chosen[1] = rest;
    }
    __syncthreads();
    threshold = static_cast<unsigned>(shared.chosen[0]);
    wanted = shared.chosen[1];
    __syncthreads();
  }
  // `wanted` is now how many of the slots at the threshold stay.

  int64_t above_before = 0;
  int64_t equal_before = 0;
  for (int64_t base = 0; base < task.tokens; base += kSlotThreads) {
    const int64_t slot = base + thread;
    bool above = false;
    bool equal = false;
    if (slot < task.tokens) {
      if (slot < row.sinks || slot >= last) {
        above = true;
      } else if (!none) {
        const unsigned key = ordered_key(scores[slot]);
        above = key > threshold;
        equal = key == threshold;
      }
    }
    const unsigned above_lanes = __ballot_sync(kAllLanes, above);
    const unsigned equal_lanes = __ballot_sync(kAllLanes, equal);
    if (lane == 0) {
      shared.above[warp] = __popc(above_lanes);
      shared.equal[warp] = __popc(equal_lanes);
    }
    __syncthreads();
    const unsigned lower_lanes = (1U << lane) - 1U;
    int64_t above_here = above_before + __popc(above_lanes & lower_lanes);
    int64_t equal_here = equal_before + __popc(equal_lanes & lower_lanes);
    for (int w = 0; w < kSlotWarps; ++w) {
      if (w < warp) {
        above_here += shared.above[w];
        equal_here += shared.equal[w];
      }
      above_before += shared.above[w];
      equal_before += shared.equal[w];
    }
    if (above || (equal && equal_here < wanted)) kept[above_here + min(equal_here, wanted)] = slot;
    __syncthreads();
  }
  for (int64_t i = row.slots + thread; i < task.most; i += kSlotThreads) kept[i] = -1;
}

/// One thread per slot (x) of a row (y).
__global__ void __launch_bounds__(kSlotThreads) find_anchors(NearestAnchorsTask task) {
  const int64_t slot = static_cast<int64_t>(blockIdx.x) * kSlotThreads + threadIdx.x;
  const SlotRowTask row = task.row_tasks[blockIdx.y];
  const int64_t* kept = task.kept + blockIdx.y * task.most;
  int64_t* source = task.source + blockIdx.y * task.most_sources;
  int64_t* anchor = task.anchor + blockIdx.y * task.most_sources;
  // A row that keeps more than others has fewer sources.
  const int64_t sources = task.tokens - row.slots;
  if (slot < task.most_sources && slot >= sources) {
    source[slot] = -1;
    anchor[slot] = -1;
  }
  if (slot >= task.tokens) return;
  const int64_t after = lower_bound(kept, row.slots, slot);
  if (after < row.slots && kept[after] == slot) return;
  // As many slots below this one stay as `after` says; the others are sources before it.
  const int64_t index = slot - after;
  const int64_t first = lower_bound(kept, row.slots, row.sinks);
  const int64_t last = lower_bound(kept, row.slots, task.tokens - row.recent);
  if (first >= last) {
    source[index] = -1;
    anchor[index] = -1;
    return;
  }
  int64_t nearest = max(first, min(after, last));
  if (nearest == last || (nearest != first && slot - kept[nearest - 1] <= kept[nearest] - slot))
    --nearest;
  source[index] = slot;
  anchor[index] = nearest;
}

}  // namespace

void launch_top_slots(const TopSlotsTask& task, Stream stream) {
  size_t shared = 0;
  top_pieces(nullptr, shared);
  launch("selection of slots", select_slots, dim3(static_cast<unsigned>(task.rows)),
         dim3(kSlotThreads), shared, stream, task);
}

void launch_nearest_anchors(const NearestAnchorsTask& task, Stream stream) {
  launch("nearest anchors", find_anchors,
         dim3(static_cast<unsigned>((task.tokens + kSlotThreads - 1) / kSlotThreads),
              static_cast<unsigned>(task.rows)),
         dim3(kSlotThreads), /*shared=*/0, stream, task);
}

}  // namespace elastikv::cuda
