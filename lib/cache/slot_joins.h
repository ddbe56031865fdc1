#pragma once

#include <cstdint>
#include <vector>

#include "kernels/device_slots.h"

namespace elastikv {

class KVCache;

/// Merges of one decode step in many caches, carried out on their device by one kernel.
class SlotJoins {
 public:
  /// One more of a layer's part. `join`: its places and weights; the rest is filled in.
  void add(KVCache& cache, int64_t layer, int64_t part, const SlotJoin& join,
           std::vector<JoinSource> sources);
  /// Starts the kernel. To be called before any of the caches changes in another way than by
  /// evicting; all of one model.
  void run();

 private:
  struct Join {
    KVCache* cache;
    int64_t first_head;
    SlotJoin join;
    std::vector<JoinSource> sources;
  };
  std::vector<Join> joins_;
};

}  // namespace elastikv
