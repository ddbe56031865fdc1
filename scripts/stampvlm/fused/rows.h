// What is done with a product's values, 32 of a row at a time, and with whole rows.
#pragma once

#include <cmath>

#include "tiles.h"

namespace fused {

constexpr Factors kNone{nullptr, 0, nullptr, 0, 0};

inline void write_row(const float* values, bf16* to) {
  _mm512_storeu_si512(to, narrowed(_mm512_loadu_ps(values), _mm512_loadu_ps(values + 16)));
}

// Writes what the values and `other`'s add up to, with one rounding.
inline void write_added(const float* values, const bf16* other, bf16* to) {
  _mm512_storeu_si512(to, narrowed(_mm512_add_ps(_mm512_loadu_ps(values), load(other)),
                                   _mm512_add_ps(_mm512_loadu_ps(values + 16), load(other + 16))));
}

inline void write_wide(const float* values, float* to) {
  _mm512_storeu_ps(to, _mm512_loadu_ps(values));
  _mm512_storeu_ps(to + 16, _mm512_loadu_ps(values + 16));
}

inline __m512 sigmoid(__m512 x) {
  const __m512 power = power_of_two(_mm512_mul_ps(x, _mm512_set1_ps(-kLog2E)));
  return _mm512_rcp14_ps(_mm512_add_ps(_mm512_set1_ps(1.0F), power));
}

// silu(gate) * up of 16 gates and then 16 factors. These operands go to `operands` past the caches:
// they are not read before the backward direction.
inline void write_gated(const float* values, bf16* operands, bf16* to) {
  const __m512 gate = _mm512_loadu_ps(values);
  const __m512 up = _mm512_loadu_ps(values + 16);
  _mm512_stream_si512(reinterpret_cast<__m512i*>(operands), narrowed(gate, up));
  store(to, _mm512_mul_ps(_mm512_mul_ps(gate, sigmoid(gate)), up));
}

// From the gradient of 16 gated values: that of their operands, as these lie, and the gated values
// once more.
inline void write_gate_gradient(const float* values, const bf16* operands, bf16* gated,
                                bf16* of_operands) {
  const __m512 gate = load(operands);
  const __m512 up = load(operands + 16);
  const __m512 gradient = _mm512_loadu_ps(values);
  const __m512 share = sigmoid(gate);
  const __m512 activated = _mm512_mul_ps(gate, share);
  store(gated, _mm512_mul_ps(activated, up));
  // silu'(x) = s + x s (1 - s) with the sigmoid s.
  const __m512 slope =
      _mm512_fmadd_ps(activated, _mm512_sub_ps(_mm512_set1_ps(1.0F), share), share);
  _mm512_storeu_si512(of_operands, narrowed(_mm512_mul_ps(_mm512_mul_ps(gradient, up), slope),
                                            _mm512_mul_ps(gradient, activated)));
}

inline float inverse_length(const bf16* x, long width, float epsilon) {
  __m512 sum = _mm512_setzero_ps();
  for (long column = 0; column < width; column += 16) {
    const __m512 value = load(x + column);
    sum = _mm512_fmadd_ps(value, value, sum);
  }
  return 1.0F / std::sqrt(_mm512_reduce_add_ps(sum) / static_cast<float>(width) + epsilon);
}

// Root-mean-square norm of rows of `width` values, times `weight`.
inline void normalize(const bf16* x, const float* weight, long rows, long width, float epsilon,
                      bf16* to) {
  for (long row = 0; row < rows; ++row, x += width, to += width) {
    const __m512 scale = _mm512_set1_ps(inverse_length(x, width, epsilon));
    for (long column = 0; column < width; column += 16)
      store(to + column, _mm512_mul_ps(_mm512_mul_ps(load(x + column), scale),
                                       _mm512_loadu_ps(weight + column)));
  }
}

// Adds to `gradient` the norm's gradient for x. of_normed is overwritten.
inline void add_normalize_gradient(const bf16* x, const float* weight, long rows, long width,
                                   float epsilon, float* of_normed, bf16* gradient) {
  for (long row = 0; row < rows; ++row, x += width, of_normed += width, gradient += width) {
    const float scale = inverse_length(x, width, epsilon);
    __m512 along = _mm512_setzero_ps();
    for (long column = 0; column < width; column += 16) {
      const __m512 value =
          _mm512_mul_ps(_mm512_loadu_ps(of_normed + column), _mm512_loadu_ps(weight + column));
      _mm512_storeu_ps(of_normed + column, value);
      along = _mm512_fmadd_ps(value, load(x + column), along);
    }
    const __m512 share =
        _mm512_set1_ps(-_mm512_reduce_add_ps(along) * scale * scale / static_cast<float>(width));
    for (long column = 0; column < width; column += 16) {
      const __m512 sum =
          _mm512_fmadd_ps(load(x + column), share, _mm512_loadu_ps(of_normed + column));
      store(gradient + column,
            _mm512_fmadd_ps(sum, _mm512_set1_ps(scale), load(gradient + column)));
    }
  }
}

}  // namespace fused
