#pragma once

#include <cstdint>

namespace elastikv::cpu {

/// Inputs that are summed before the sum is added to the output's: long sums in fp32 lose digits,
/// sums of sums lose few.
inline constexpr int64_t kDepth = 256;

/// A product of PanelWeights and rows of x that lie as its body takes them: tiles of `tile_rows`
/// rows, of an input (or of a pair of inputs) the numbers of all rows of a tile together.
struct TileProduct {
  const void* weights;
  const void* x;
  int64_t depth;  // PanelWeights::depth; x is zero beyond its inputs
  int64_t rows;
  int64_t tiles;
  int64_t tile_rows;

  int64_t first_row(int64_t tile) const { return rows * tile / tiles; }
};

/// What one pass has to ask memory for while it runs: a piece of the next weights per input.
struct Ahead {
  const char* next;  // of this pass
  int64_t step;      // bytes per input
};

/// The sums of one panel: [rows, kPanel].
using PanelSums = void (*)(const TileProduct& product, int64_t panel, float* sums);

}  // namespace elastikv::cpu
