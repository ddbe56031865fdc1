// Matrix products of bf16 on the tile registers (AMX) of one core, and what their operands need.
//
// A product's left matrix lies in rows. Its right matrix is packed in panels of 32 columns: for
// each step of 32 rows two tiles, each of 16 columns, in which the two rows of a pair alternate.
// Rows, columns and steps are multiples of 32; who calls pads with zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <immintrin.h>

namespace fused {

using bf16 = std::uint16_t;

constexpr long kSide = 32;         // rows and columns that are multiplied at a time
constexpr long kTile = 512;        // values of bf16 in a tile
constexpr long kStep = 2 * kTile;  // values of a panel for a step
constexpr float kLog2E = 1.44269504F;
constexpr float kLn2 = 0.69314718F;

constexpr long padded(long count) { return (count + kSide - 1) / kSide * kSide; }

// Whether this process may use tile registers; asks the system for them.
bool tiles_allowed();

// Shapes the tile registers of the calling thread; other libraries shape them as they like.
void shape_tiles();

// Memory in huge pages, which stays where it is and is reused: fresh pages cost more than the
// arithmetic done on them.
class Memory {
 public:
  explicit Memory(std::size_t bytes);
  [[nodiscard]] std::size_t size() const { return size_; }
  template <class T>
  [[nodiscard]] T* as() const {
    return reinterpret_cast<T*>(start_.get());
  }

 private:
  struct Free {
    void operator()(char* start) const;
  };
  std::size_t size_;
  std::unique_ptr<char, Free> start_;
};

// Arrays of a Memory one after the other, at multiples of 64 bytes. Without a Memory it only
// counts.
class Carver {
 public:
  explicit Carver(char* start) : start_(start) {}
  template <class T>
  T* take(long count) {
    const std::size_t here = used_;
    used_ += (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return start_ == nullptr ? nullptr : reinterpret_cast<T*>(start_ + here);
  }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  char* start_;
  std::size_t used_ = 0;
};

inline __m512 widened(__m256i values) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16));
}

inline __m512 load(const bf16* from) {
  return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

inline __m256i narrowed(__m512 values) {
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values));
}

// The first 16 and the second 16 values in one register.
inline __m512i narrowed(__m512 first, __m512 second) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}

inline void store(bf16* to, __m512 values) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrowed(values));
}

// 2 to the power of x, to 3e-6 of the result; zero and infinity where that leaves fp32's range.
inline __m512 power_of_two(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 rest = _mm512_sub_ps(x, whole);
  __m512 sum = _mm512_set1_ps(1.33335581e-3F);
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(9.61812911e-3F));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(5.55041087e-2F));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(2.40226507e-1F));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(6.93147181e-1F));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(1.0F));
  return _mm512_scalef_ps(sum, whole);
}

// 16 rows of 16 values of 32 bits become columns.
inline void transpose(__m512i (&r)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    const __m512i even_above = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
    const __m512i even_below = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
    const __m512i odd_above = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
    const __m512i odd_below = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
    t[i] = _mm512_shuffle_i32x4(even_above, even_below, 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(odd_above, odd_below, 0x88);
    t[8 + i] = _mm512_shuffle_i32x4(even_above, even_below, 0xdd);
    t[12 + i] = _mm512_shuffle_i32x4(odd_above, odd_below, 0xdd);
  }
  for (int i = 0; i < 16; ++i) r[i] = t[i];
}

// The values of two rows in turn: 16 columns of both, from the first column or the 17th.
inline __m512i paired(__m512i above, __m512i below, bool second_half) {
  const __m512i lanes = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40,
                                         8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i offset = _mm512_set1_epi16(static_cast<short>(second_half ? 16 : 0));
  return _mm512_permutex2var_epi16(above, _mm512_add_epi16(lanes, offset), below);
}

// Packs 32 rows of 32 columns, which lie in rows, as one step of a right matrix.
inline void pack_rows(const bf16* from, long stride, bf16* to) {
  for (long pair = 0; pair < 16; ++pair) {
    const __m512i above = _mm512_loadu_si512(from + 2 * pair * stride);
    const __m512i below = _mm512_loadu_si512(from + (2 * pair + 1) * stride);
    _mm512_storeu_si512(to + pair * kSide, paired(above, below, false));
    _mm512_storeu_si512(to + kTile + pair * kSide, paired(above, below, true));
  }
}

// Packs the transpose of 32 rows of 32 columns as one step of a right matrix.
inline void pack_transposed(const bf16* from, long stride, bf16* to) {
  for (long half = 0; half < 2; ++half) {
    __m512i rows[16];
    for (long row = 0; row < 16; ++row)
      rows[row] = _mm512_loadu_si512(from + (half * 16 + row) * stride);
    transpose(rows);
    for (long pair = 0; pair < 16; ++pair)
      _mm512_storeu_si512(to + half * kTile + pair * kSide, rows[pair]);
  }
}

// Writes the transpose of 32 rows of 32 columns in rows of `to_stride`.
inline void write_transposed(const bf16* from, long stride, bf16* to, long to_stride) {
  for (long half = 0; half < 2; ++half) {
    __m512i rows[16];
    for (long row = 0; row < 16; ++row)
      rows[row] = _mm512_loadu_si512(from + (half * 16 + row) * stride);
    transpose(rows);
    for (long pair = 0; pair < 16; ++pair) {
      bf16* even = to + 2 * pair * to_stride + half * 16;
      bf16* odd = even + to_stride;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(even), _mm512_cvtepi32_epi16(rows[pair]));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(odd),
                          _mm512_cvtepi32_epi16(_mm512_srli_epi32(rows[pair], 16)));
    }
  }
}

// The product of 32 rows and 32 columns is in tile registers 0 to 3: from clear or load_sum over
// multiply to write_sum.
inline void clear() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// Keeps the compiler from moving stores beyond the tile loads that follow: GCC does not know that
// these read memory.
inline void finish_stores() { asm volatile("" ::: "memory"); }

inline void load_sum(const float* from, long stride) {
  finish_stores();
  _tile_loadd(0, from, stride * 4);
  _tile_loadd(1, from + 16, stride * 4);
  _tile_loadd(2, from + 16 * stride, stride * 4);
  _tile_loadd(3, from + 16 * stride + 16, stride * 4);
}

inline void write_sum(float* to, long stride) {
  _tile_stored(0, to, stride * 4);
  _tile_stored(1, to + 16, stride * 4);
  _tile_stored(2, to + 16 * stride, stride * 4);
  _tile_stored(3, to + 16 * stride + 16, stride * 4);
  finish_stores();
}

// Adds 32 rows of `left` times `steps` steps of a panel, which are `apart` values apart, and calls
// between() after each step.
template <class Between>
inline void multiply(const bf16* left, long stride, const bf16* panel, long steps, long apart,
                     Between between) {
  finish_stores();
  for (long step = 0; step < steps; ++step) {
    // The left matrix passes L1 by, so that a panel stays there for all rows: by half as fast
    // again where rows are long.
    _tile_loadd(6, panel, 64);
    _tile_stream_loadd(4, left, stride * 2);
    _tile_loadd(7, panel + kTile, 64);
    _tile_stream_loadd(5, left + 16 * stride, stride * 2);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    left += kSide;
    panel += apart;
    between();
  }
}

inline void multiply(const bf16* left, long stride, const bf16* panel, long steps,
                     long apart = kStep) {
  multiply(left, stride, panel, steps, apart, [] {});
}

// A factor on the left and one on the right, `steps` steps between them; panels `apart` values
// apart.
struct Factors {
  const bf16* left;
  long stride;
  const bf16* right;
  long steps;
  long apart;
};

// Fetches the share of `row` in the panel after the one at hand: a panel comes from far while its
// predecessor is multiplied with all rows.
inline void fetch_next(const Factors& factors, const bf16* panel, long row, long rows) {
  const long lines = factors.steps * kStep / 32;  // of 64 bytes in a panel
  const long share = (lines * kSide + rows - 1) / rows;
  const bf16* next = panel + factors.apart + row / kSide * share * 32;
  for (long line = 0; line < share; ++line) _mm_prefetch(next + line * 32, _MM_HINT_T1);
}

// Calls use(row, column, values) for each row of the product and each 32 columns of it. The product
// is that of `main` plus that of `update`. What is done with the values of 32 rows is done while
// the next are multiplied, which leaves the vector units idle.
template <class Use>
void product(long rows, long columns, const Factors& main, const Factors& update, Use use) {
  alignas(64) float sums[2][kSide * kSide];
  const long used_a_step = (kSide + main.steps - 1) / main.steps;
  const float* values = nullptr;
  long row_used = 0;
  long column_used = 0;
  long left = 0;
  const auto use_some = [&](long count) {
    for (; count > 0 && left > 0; --count, --left, ++row_used, values += kSide)
      use(row_used, column_used, values);
  };
  int turn = 0;
  for (long column = 0; column < columns; column += kSide) {
    const bf16* panel = main.right + column / kSide * main.apart;
    const bf16* added = update.right + column / kSide * update.apart;
    for (long row = 0; row < rows; row += kSide) {
      fetch_next(main, panel, row, rows);
      clear();
      multiply(main.left + row * main.stride, main.stride, panel, main.steps, kStep,
               [&] { use_some(used_a_step); });
      multiply(update.left + row * update.stride, update.stride, added, update.steps);
      write_sum(sums[turn], kSide);
      values = sums[turn];
      row_used = row;
      column_used = column;
      left = kSide;
      turn = 1 - turn;
    }
  }
  use_some(kSide);
}

}  // namespace fused
