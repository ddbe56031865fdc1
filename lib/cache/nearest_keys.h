#pragma once

#include <cstdint>
#include <vector>

namespace elastikv {

class KVCache;

/// For some slots of a layer: which other slot has the key most like theirs?
struct NearestQuestion {
  int64_t layer = 0;
  int64_t group = 0;
  bool all_heads = false;         ///< keys of all KV heads side by side, which share their slots
  std::vector<int64_t> sources;   ///< slots that are asked about
  std::vector<int64_t> excluded;  ///< slots that are no answers
};

/// By source: the slot with the largest cosine, of equals the first, and that; a key without a
/// direction has cosine 0 with all.
struct NearestSlots {
  std::vector<int64_t> slots;
  std::vector<float> cosines;
};

/// Questions about one cache.
struct CacheQuestions {
  KVCache* cache = nullptr;
  std::vector<NearestQuestion> questions;
};

/// Answers to all questions [caches][questions] by one kernel and one wait. The caches are of one
/// model, and their device knows their slots (SlotMirror).
std::vector<std::vector<NearestSlots>> nearest_keys(const std::vector<CacheQuestions>& caches);

}  // namespace elastikv
