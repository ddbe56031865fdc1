#pragma once

#include <cstdint>

namespace elastikv::cpu {

/// Rows and inputs of x that the matrix unit takes at a time: a tile, which lies in one piece.
inline constexpr int64_t kUnitRows = 16;
inline constexpr int64_t kUnitInputs = 32;

/// Whether the processor multiplies tiles of bf16 (Intel AMX) and the system lets this process do
/// so. Not where LibTorch is told to use less than AVX-512 (ATEN_CPU_CAPABILITY).
bool has_matrix_unit();

/// A product of bf16 numbers with sums in fp32. The inputs are taken in pieces.
struct UnitProduct {
  const uint16_t* weights;  // panels of PanelWeights: [panels, depth / 2, 32, 2]
  const uint16_t* x;        // pieces, one behind the other: [rows / 16, inputs / 32, 16, 32] each
  int64_t depth;            // a multiple of 32
  int64_t rows;             // a multiple of 16
  int64_t piece;            // inputs of every piece but the last: unit_piece
};

/// How many inputs a product of so many rows takes at a time.
int64_t unit_piece(int64_t rows, int64_t depth);

/// Block `block` of 16 rows of UnitProduct::x, in all pieces. x has `rows` of these rows, at most
/// 16, of `in` inputs each; what is missing is filled with zeros.
void lay_out_block(const uint16_t* x, int64_t rows, int64_t in, int64_t block,
                   const UnitProduct& product, uint16_t* tiles);

/// The sums of panels [first, first + panels): [panels, rows, 32]. Every sum is over the inputs in
/// their order, whatever the number of rows. Only where there is a matrix unit.
void unit_sums(const UnitProduct& product, int64_t first, int64_t panels, float* sums);

/// How many panels of a product are best made together: then their sums, and the x that they share,
/// stay near.
int64_t unit_panels(int64_t rows, int64_t depth);

}  // namespace elastikv::cpu
