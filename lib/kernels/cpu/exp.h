#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace elastikv::cpu {

/// e^x to within 2 units in the last place for -87 <= x <= 88; below, e^-87 (1.6e-38), which no sum
/// of attention notices. Free of branches and calls, so that loops over it are vectorized, which
/// std::exp's are not. Range reduction to |r| <= ln(2) / 2 and the minimax polynomial of Cephes'
/// expf (Moshier).
inline float exp(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  x = std::min(std::max(-87.0F, x), 88.0F);  // in this order no NaN is turned into an integer
  const float scaled = x * kLog2E;
  const auto n = static_cast<int32_t>(scaled + (scaled < 0.0F ? -0.5F : 0.5F));
  const auto whole = static_cast<float>(n);
  const float r = (x - whole * kLn2High) - whole * kLn2Low;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  return p * std::bit_cast<float>((n + 127) << 23);
}

}  // namespace elastikv::cpu
