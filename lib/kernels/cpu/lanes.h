#pragma once

#include <cstdint>
#include <cstring>

// Explicit vectors for the kernels whose registers the compiler does not allocate well by itself.
// Functions on them are inlined into a body for each instruction set (targets.h).
namespace elastikv::cpu {

/// Floats whose sums are kept apart, whatever a processor's vectors hold: so that every processor
/// adds in the same order.
inline constexpr int64_t kLanes = 16;

#define ELASTIKV_INLINE inline __attribute__((always_inline))

/// Vectors of 4, 8 or 16 floats.
template <int kWidth>
struct Vectors {
  // g++ 12 drops the attribute in an alias that depends on a parameter.
  typedef float Floats __attribute__((vector_size(kWidth * 4)));     // NOLINT(modernize-use-using)
  typedef uint32_t Words __attribute__((vector_size(kWidth * 4)));   // NOLINT(modernize-use-using)
  typedef uint16_t Halves __attribute__((vector_size(kWidth * 2)));  // NOLINT(modernize-use-using)
  static_assert(sizeof(Floats) == kWidth * sizeof(float) && sizeof(Words) == sizeof(Floats) &&
                sizeof(Halves) * 2 == sizeof(Floats));
};

/// kLanes floats in as many vectors as they need.
template <int kWidth>
struct Lanes {
  static constexpr int64_t kParts = kLanes / kWidth;
  typename Vectors<kWidth>::Floats part[kParts];
};

template <int kWidth>
ELASTIKV_INLINE void clear(Lanes<kWidth>& x) {
#pragma GCC unroll 4
  for (auto& part : x.part) part = typename Vectors<kWidth>::Floats{};
}

template <int kWidth>
ELASTIKV_INLINE void load(const float* from, Lanes<kWidth>& to) {
#pragma GCC unroll 4
  for (int64_t p = 0; p < Lanes<kWidth>::kParts; ++p)
    std::memcpy(&to.part[p], from + p * kWidth, sizeof(to.part[p]));
}
/// As many bf16 numbers, each in a word.
template <int kWidth>
ELASTIKV_INLINE typename Vectors<kWidth>::Words load_halves(const uint16_t* from) {
  using Halves = typename Vectors<kWidth>::Halves;
#ifdef __x86_64__
  // g++ 12 makes six instructions of what is one.
  if constexpr (kWidth == 16) {
    struct Memory {
      uint16_t halves[kWidth];
    };
    typename Vectors<kWidth>::Words words;
    asm("vpmovzxwd %1, %0" : "=v"(words) : "m"(*reinterpret_cast<const Memory*>(from)));
    return words;
  }
#endif
  Halves halves;
  std::memcpy(&halves, from, sizeof(halves));
  return __builtin_convertvector(halves, typename Vectors<kWidth>::Words);
}
/// bf16 widened to fp32.
template <int kWidth>
ELASTIKV_INLINE void load(const uint16_t* from, Lanes<kWidth>& to) {
#pragma GCC unroll 4
  for (int64_t p = 0; p < Lanes<kWidth>::kParts; ++p) {
    const auto words = load_halves<kWidth>(from + p * kWidth) << 16;
    std::memcpy(&to.part[p], &words, sizeof(words));
  }
}
template <int kWidth>
ELASTIKV_INLINE void store(const Lanes<kWidth>& from, float* to) {
#pragma GCC unroll 4
  for (int64_t p = 0; p < Lanes<kWidth>::kParts; ++p)
    std::memcpy(to + p * kWidth, &from.part[p], sizeof(from.part[p]));
}

template <int kWidth>
ELASTIKV_INLINE float sum(const Lanes<kWidth>& x) {
  using Four = typename Vectors<4>::Floats;
  Four four[4];
  if constexpr (kWidth == 8) {
    const auto eight = x.part[0] + x.part[1];
    std::memcpy(four, &eight, sizeof(eight));
  } else {
    std::memcpy(four, &x, sizeof(x));
    four[0] += four[2];
    four[1] += four[3];
  }
  four[0] += four[1];
  return (four[0][0] + four[0][2]) + (four[0][1] + four[0][3]);
}

/// Queries that go over a panel together: as many as have their sums with two vectors of keys in
/// the registers.
template <int kWidth>
inline constexpr int kPanelRows = kWidth == 16 ? 8 : 6;
/// The most of any processor.
inline constexpr int kMostPanelRows = 8;
/// Columns of a panel.
inline constexpr int64_t kPanelColumns = 2 * kLanes;

/// kPanelRows rows of a [depth] times a panel b [depth, kPanelColumns]; rows of b lie `b_stride`
/// apart, those of the product `to_stride`.
template <int kWidth>
ELASTIKV_INLINE void panel_product(const float* a, int64_t a_stride, const float* b,
                                   int64_t b_stride, int64_t depth, float* to, int64_t to_stride) {
  using Floats = typename Vectors<kWidth>::Floats;
  constexpr int kRows = kPanelRows<kWidth>;
  for (int64_t column = 0; column < kPanelColumns; column += static_cast<int64_t>(2) * kWidth) {
    Floats c[kRows][2];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) c[r][0] = c[r][1] = Floats{};
    for (int64_t k = 0; k < depth; ++k) {
      Floats left;
      Floats right;
      std::memcpy(&left, b + k * b_stride + column, sizeof(left));
      std::memcpy(&right, b + k * b_stride + column + kWidth, sizeof(right));
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const float x = a[r * a_stride + k];
        c[r][0] += x * left;
        c[r][1] += x * right;
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(to + r * to_stride + column, &c[r][0], sizeof(Floats));
      std::memcpy(to + r * to_stride + column + kWidth, &c[r][1], sizeof(Floats));
    }
  }
}

}  // namespace elastikv::cpu
