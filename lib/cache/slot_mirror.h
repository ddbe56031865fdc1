#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/device_slots.h"
#include "kernels/transfer.h"

namespace elastikv {

class KVCache;

/// What is sent to a device for one decode step: changes of the slots of all its sequences, and
/// whatever else is added to `upload`.
struct SlotUpdates {
  Upload upload;
  std::vector<SlotUpdate> updates;
  // What the updates refer to; kept where it lies until it is sent.
  std::deque<std::vector<int32_t>> numbers;
  std::deque<std::vector<SlotChange>> changes;
};

/// The slots of a cache as its device knows them. Tables of pointers and lists of places lie there
/// and stay; a step sends what changed, which a kernel carries out. Only layers whose storage is
/// another one, or whose slots were chosen anew, are sent whole.
class SlotMirror {
 public:
  SlotMirror() = default;
  ~SlotMirror() = default;
  /// A copy knows nothing yet: what changes in one of two caches does not in the other.
  SlotMirror(const SlotMirror& /*other*/) {}
  SlotMirror& operator=(const SlotMirror& other) {
    if (this != &other) *this = SlotMirror();
    return *this;
  }
  SlotMirror(SlotMirror&&) = default;
  SlotMirror& operator=(SlotMirror&&) = default;

  /// Adds to `updates` what became of the cache's slots since the last call. `distances`: keys hold
  /// no rotation, so that slots are to know their distances.
  void follow(KVCache& cache, bool distances, SlotUpdates& updates);

  /// Whether the device knows the cache at all.
  bool is_known() const { return table_on_device_.defined(); }
  /// Brings the pointers to entries up to date where storage is another one since follow().
  void point_to_entries(const KVCache& cache);

  /// [layers, kv_heads] on the device, good once the updates were sent and carried out.
  const HeadSlots* heads() const {
    return reinterpret_cast<const HeadSlots*>(table_on_device_.const_data_ptr<uint8_t>());
  }

 private:
  /// Where the slots of a part of a layer lie.
  struct Arrays {
    int32_t* places;
    int32_t* distances;
    float* bias;
    int32_t* length;
  };

  /// Makes room for what the cache holds; whether there was none.
  bool make_room(const KVCache& cache, bool distances);
  Arrays arrays(int64_t layer, int64_t part) const;
  SlotUpdate whole_layer(const KVCache& cache, int64_t layer, int64_t part,
                         SlotUpdates& updates) const;
  void point_to_entries(const KVCache& cache, int64_t layer);
  void point_to_slots(const KVCache& cache, int64_t layer);
  void send_table(c10::Device device);

  int64_t layers_ = 0;
  int64_t parts_ = 0;
  int64_t capacity_ = 0;
  bool with_distances_ = false;
  bool with_bias_ = false;
  at::Tensor slots_;    // i32 [places, distances, bias][layers, parts, capacity]
  at::Tensor lengths_;  // i32 [layers, parts]
  std::vector<HeadSlots> table_;
  at::Tensor table_on_device_;  // u8
};

}  // namespace elastikv
