#pragma once

#include <cstdint>

namespace elastikv {

/// Random numbers that are the same on every machine: SplitMix64 (Steele, Lea and Flood, 2014).
/// Streams of different `layer` and `group` are unrelated, so that layers do not drop the same
/// tokens.
class RandomStream {
 public:
  RandomStream(uint64_t seed, int64_t layer, int64_t group) : state_(seed) {
    state_ = next() ^ static_cast<uint64_t>(layer);
    state_ = next() ^ static_cast<uint64_t>(group);
  }

  uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, 1) with the 24 bits that fp32 holds.
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-24F; }
  /// Uniform in [0, count); count at least 1 and below 2^32, where the modulo's bias is below
  /// 2^-32.
  int64_t below(int64_t count) {
    return static_cast<int64_t>(next() % static_cast<uint64_t>(count));
  }

 private:
  uint64_t state_;
};

}  // namespace elastikv
