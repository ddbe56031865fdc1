#include "cache/slot_joins.h"

#include <algorithm>
#include <utility>

#include "cache/kv_cache.h"
#include "kernels/accelerator.h"
#include "kernels/transfer.h"

namespace elastikv {

void SlotJoins::add(KVCache& cache, int64_t layer, int64_t part, const SlotJoin& join,
                    std::vector<JoinSource> sources) {
  const int64_t kv_heads = cache.shape().kv_heads;
  const bool one_set = cache.groups(layer) == 1;
  Join& added = joins_.emplace_back(
      Join{&cache, layer * kv_heads + (one_set ? 0 : part), join, std::move(sources)});
  added.join.head_count = static_cast<int32_t>(one_set ? kv_heads : 1);
}

void SlotJoins::run() {
  if (joins_.empty()) return;
  const CacheShape& shape = joins_[0].cache->shape();
  Upload upload;
  std::vector<SlotJoin> joins;
  joins.reserve(joins_.size());
  SentSlots work;
  const KVCache* last = nullptr;
  for (Join& one : joins_) {
    // Joins come cache by cache.
    if (one.cache != last) one.cache->mirror().point_to_entries(*one.cache);
    last = one.cache;
    one.join.heads = one.cache->mirror().heads() + one.first_head;
    one.join.source_count = static_cast<int32_t>(one.sources.size());
    one.join.sources = upload.add(one.sources);
    work.most_heads = std::max<int64_t>(work.most_heads, one.join.head_count);
    joins.push_back(one.join);
  }
  work.offset = upload.add(joins);
  work.count = std::ssize(joins);
  work.head_dim = shape.head_dim;
  work.dtype = shape.dtype;
  work.sent = upload.send(shape.device);
  accelerator_of(shape.device)->join_slots(work);
  joins_.clear();
}

}  // namespace elastikv
