#pragma once

#include <cstdint>

#include "kernels/cpu/tile_product.h"

namespace elastikv::cpu {

/// Rows that a pass over a panel serves: their sums fit 24 of 32 registers.
inline constexpr int64_t kPairRows = 12;

/// Whether the processor multiplies pairs of bf16 and adds them to sums in fp32 (AVX512_BF16: AMD
/// since Zen 4, Intel since Cooper Lake). Not where LibTorch is told to use less than AVX-512
/// (ATEN_CPU_CAPABILITY).
bool has_bf16_pairs();

/// Tile `tile` of the rows of x [rows, in], which begin at row `first` of it: [depth / 2,
/// kPairRows] pairs of inputs, zero beyond `in`.
void lay_out_pairs(const uint16_t* x, int64_t in, int64_t first, int64_t tile,
                   const TileProduct& product, uint32_t* tiles);

/// The sums of a panel of bf16 weights. Every sum is over the pairs of inputs in their order,
/// whatever the number of rows. Only where there are such instructions.
void pair_sums(const TileProduct& product, int64_t panel, float* sums);

}  // namespace elastikv::cpu
