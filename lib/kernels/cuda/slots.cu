#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {
namespace {

constexpr int kSlotThreads = 128;

/// Carries out one update; the block's threads share the slots out.
__global__ void __launch_bounds__(kSlotThreads)
    update_slots(const SlotUpdate* updates, const unsigned char* sent) {
  const SlotUpdate update = updates[blockIdx.x];
  const int thread = static_cast<int>(threadIdx.x);
  int length = update.slots >= 0 ? update.slots : *update.length;
  if (update.slots >= 0) {
    const auto* places = reinterpret_cast<const int32_t*>(sent + update.new_places);
    const auto* distances = reinterpret_cast<const int32_t*>(sent + update.new_distances);
    const auto* bias = reinterpret_cast<const float*>(sent + update.new_bias);
    for (int i = thread; i < length; i += kSlotThreads) {
      if (update.places != nullptr) update.places[i] = places[i];
      if (update.distances != nullptr) update.distances[i] = distances[i];
      if (update.bias != nullptr) update.bias[i] = bias[i];
    }
  }
  const auto* changes = reinterpret_cast<const SlotChange*>(sent + update.changes);
  for (int c = 0; c < update.change_count; ++c) {
    __syncthreads();
    const SlotChange change = changes[c];
    const bool removed = change.place == SlotChange::kRemoved;
    const bool added = !removed && change.slot == SlotChange::kNewSlot;
    const int last = length - 1;
    if (update.distances != nullptr && removed) {
      const int32_t gone = update.distances[change.slot];
      const int32_t moved = update.distances[last];
      __syncthreads();
      // What is older than the entry that goes comes one nearer.
      for (int i = thread; i < last; i += kSlotThreads) {
        const int32_t distance = i == change.slot ? moved : update.distances[i];
        update.distances[i] = distance > gone ? distance - 1 : distance;
      }
    } else if (update.distances != nullptr && added) {
      for (int i = thread; i < length; i += kSlotThreads) ++update.distances[i];
      if (thread == 0) update.distances[length] = 0;
    }
    if (thread == 0) {
      const int slot = added ? length : change.slot;
      if (update.places != nullptr)
        update.places[slot] = removed ? update.places[last] : change.place;
      if (update.bias != nullptr && removed) update.bias[slot] = update.bias[last];
      if (update.bias != nullptr && added) update.bias[slot] = 0;
    }
    length += added ? 1 : (removed ? -1 : 0);
  }
  if (thread == 0) *update.length = length;
}

}  // namespace

void launch_update_slots(const SlotUpdate* updates, int count, const unsigned char* sent,
                         Stream stream) {
  launch("the update of slots", update_slots, dim3(static_cast<unsigned>(count)),
         dim3(kSlotThreads), /*shared=*/0, stream, updates, sent);
}

}  // namespace elastikv::cuda
