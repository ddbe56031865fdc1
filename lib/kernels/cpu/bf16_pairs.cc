#include "kernels/cpu/bf16_pairs.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/panel_weights.h"
#include "kernels/cpu/targets.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#define ELASTIKV_AVX512_BF16 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))
#endif

namespace elastikv::cpu {

void lay_out_pairs(const uint16_t* x, int64_t in, int64_t first, int64_t tile, const TileProduct& p,
                   uint32_t* tiles) {
  uint32_t* out = tiles + tile * p.depth / 2 * kPairRows;
  const int64_t row = p.first_row(tile);
  const int64_t rows = p.first_row(tile + 1) - row;
  constexpr int64_t kBlock = 32;  // pairs: what a block writes stays in the first cache
  const int64_t whole = in / 2;
  for (int64_t k = 0; k < whole; k += kBlock) {
    const int64_t last = std::min(k + kBlock, whole);
    for (int64_t r = 0; r < rows; ++r) {
      const uint16_t* from = x + (first + row + r) * in;
      for (int64_t i = k; i < last; ++i)
        std::memcpy(out + i * kPairRows + r, from + 2 * i, sizeof(uint32_t));
    }
  }
  std::fill(out + whole * kPairRows, out + p.depth / 2 * kPairRows, 0U);
  if (in % 2 == 0) return;
  for (int64_t r = 0; r < rows; ++r)
    out[whole * kPairRows + r] = x[(first + row + r) * in + in - 1];
}

#ifdef __x86_64__

bool has_bf16_pairs() {
  static const bool has = [] {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    constexpr unsigned kBf16 = 1U << 5U;  // AVX512_BF16: leaf 7, subleaf 1, EAX
    return vector_width() == 16 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kBf16) != 0;
  }();
  return has;
}

namespace {

/// sums [kRows, kPanel] of `pairs` pairs of inputs; the first inputs set them, later ones are
/// added.
template <int kRows>
ELASTIKV_AVX512_BF16 void pass(const uint16_t* weights, const uint32_t* x, int64_t pairs,
                               float* sums, bool first, const Ahead& ahead) {
  constexpr int64_t kHalf = kPanel / 2;
  __m512 sum[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
  for (int64_t k = 0; k < pairs; ++k) {
    // Two lines of weights: 32 outputs of two inputs.
    __builtin_prefetch(ahead.next + 2 * k * ahead.step);
    __builtin_prefetch(ahead.next + (2 * k + 1) * ahead.step);
    __m512bh weight[2];
    std::memcpy(&weight[0], weights + k * kPanel * 2, sizeof(weight[0]));
    std::memcpy(&weight[1], weights + k * kPanel * 2 + kPanel, sizeof(weight[1]));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512i of_row = _mm512_set1_epi32(static_cast<int>(x[k * kPairRows + r]));
      __m512bh pair;
      std::memcpy(&pair, &of_row, sizeof(pair));
      sum[r][0] = _mm512_dpbf16_ps(sum[r][0], weight[0], pair);
      sum[r][1] = _mm512_dpbf16_ps(sum[r][1], weight[1], pair);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      float* to = sums + r * kPanel + half * kHalf;
      const __m512 total = first ? sum[r][half] : _mm512_add_ps(_mm512_loadu_ps(to), sum[r][half]);
      _mm512_storeu_ps(to, total);
    }
  }
}

using Pass = void (*)(const uint16_t* weights, const uint32_t* x, int64_t pairs, float* sums,
                      bool first, const Ahead& ahead);

template <size_t... kLess>
constexpr std::array<Pass, sizeof...(kLess)> passes(std::index_sequence<kLess...> /*rows*/) {
  return {pass<kLess + 1>...};
}

}  // namespace

void pair_sums(const TileProduct& p, int64_t panel, float* sums) {
  static constexpr auto kPasses = passes(std::make_index_sequence<kPairRows>{});
  const uint16_t* weights = static_cast<const uint16_t*>(p.weights) + panel * p.depth * kPanel;
  const auto* x = static_cast<const uint32_t*>(p.x);
  for (int64_t k = 0; k < p.depth; k += kDepth) {
    const int64_t depth = std::min(kDepth, p.depth - k);
    const uint16_t* here = weights + k * kPanel;
    // The panels lie one behind the other. Asking beyond the last is no error.
    Ahead ahead{reinterpret_cast<const char*>(here + depth * kPanel),
                kPanel * static_cast<int64_t>(sizeof(uint16_t)) / p.tiles};
    for (int64_t tile = 0; tile < p.tiles; ++tile) {
      const int64_t row = p.first_row(tile);
      const auto rows = static_cast<size_t>(p.first_row(tile + 1) - row);
      kPasses[rows - 1](here, x + (tile * p.depth + k) / 2 * kPairRows, depth / 2,
                        sums + row * kPanel, k == 0, ahead);
      ahead.next += ahead.step * depth;
    }
  }
}

#else

bool has_bf16_pairs() { return false; }

void pair_sums(const TileProduct&, int64_t, float*) {
  throw InternalError("a product for instructions that are not there");
}

#endif

}  // namespace elastikv::cpu
