#pragma once

#include <cstdint>
#include <cstring>

// Explicit vectors for the kernels whose registers the compiler does not allocate well by itself.
// Functions on them are inlined into bodies compiled for each instruction set (clones.h), which
// lower a vector to as many registers as they need.
namespace elastikv::cpu {

inline constexpr int64_t kLanes = 16;
using Lanes = float __attribute__((vector_size(64)));

#define ELASTIKV_INLINE inline __attribute__((always_inline))

ELASTIKV_INLINE void load(const float* from, Lanes& to) { std::memcpy(&to, from, sizeof(Lanes)); }
/// bf16 widened to fp32.
ELASTIKV_INLINE void load(const uint16_t* from, Lanes& to) {
  using Halves = uint16_t __attribute__((vector_size(32)));
  using Words = uint32_t __attribute__((vector_size(64)));
  Halves halves;
  std::memcpy(&halves, from, sizeof(Halves));
  const Words words = __builtin_convertvector(halves, Words) << 16;
  std::memcpy(&to, &words, sizeof(Lanes));
}
ELASTIKV_INLINE void store(const Lanes& from, float* to) { std::memcpy(to, &from, sizeof(Lanes)); }

ELASTIKV_INLINE float sum(const Lanes& x) {
  using Eight = float __attribute__((vector_size(32)));
  using Four = float __attribute__((vector_size(16)));
  Eight eight[2];
  std::memcpy(eight, &x, sizeof(x));
  eight[0] += eight[1];
  Four four[2];
  std::memcpy(four, eight, sizeof(Eight));
  four[0] += four[1];
  return (four[0][0] + four[0][2]) + (four[0][1] + four[0][3]);
}

/// c[r] += a[r] b for kRows rows of a [kRows, depth] and a panel b [depth, 32] whose rows lie
/// `b_stride` apart.
template <int kRows>
ELASTIKV_INLINE void panel_product(const float* a, int64_t a_stride, const float* b,
                                   int64_t b_stride, int64_t depth, Lanes (&c)[kRows][2]) {
  for (int64_t k = 0; k < depth; ++k) {
    Lanes left;
    Lanes right;
    load(b + k * b_stride, left);
    load(b + k * b_stride + kLanes, right);
    for (int r = 0; r < kRows; ++r) {
      const float x = a[r * a_stride + k];
      c[r][0] += x * left;
      c[r][1] += x * right;
    }
  }
}

}  // namespace elastikv::cpu
