#pragma once

#include <bit>
#include <cstdint>

// Scalars of both dtypes as fp32, in a form that loops over them vectorize. bf16 is handled as its
// bits: c10's type hides them behind calls.
namespace elastikv::cpu {

inline float widen(float x) { return x; }
inline float widen(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

inline void narrow(float x, float& to) { to = x; }
/// Rounds to nearest, ties to even; for finite numbers.
inline void narrow(float x, uint16_t& to) {
  const auto bits = std::bit_cast<uint32_t>(x);
  to = static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace elastikv::cpu
