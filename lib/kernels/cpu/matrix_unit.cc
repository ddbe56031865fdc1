#include "kernels/cpu/matrix_unit.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/panel_weights.h"
#include "kernels/cpu/targets.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define ELASTIKV_AMX __attribute__((target("amx-tile,amx-bf16")))
#endif

namespace elastikv::cpu {

namespace {

/// Rows that one pass over the weights serves: two tiles of x.
constexpr int64_t kPassRows = 2 * kUnitRows;
/// Up to here a product waits for the weights more than for its arithmetic.
constexpr int64_t kFewRows = 64;

}  // namespace

int64_t unit_piece(int64_t rows, int64_t depth) {
  // What one pass serves goes through a panel in one piece. Else the weights of a piece stay in the
  // first cache until the last row has met them (lengths as measured).
  if (rows <= kPassRows) return depth;
  return std::min<int64_t>(rows <= kFewRows ? 128 : 256, depth);
}

void lay_out_block(const uint16_t* x, int64_t rows, int64_t in, int64_t block, const UnitProduct& p,
                   uint16_t* tiles) {
  for (int64_t k = 0; k < p.depth; k += kUnitInputs) {
    // Pieces lie together, lest the blocks of one lie a power of two apart, which the second cache
    // would put into the same few places.
    const int64_t begin = k / p.piece * p.piece;
    const int64_t inputs_of_piece = std::min(p.piece, p.depth - begin);
    uint16_t* tile = tiles + begin * p.rows + (block * inputs_of_piece + k - begin) * kUnitRows;
    const int64_t inputs = std::clamp<int64_t>(in - k, 0, kUnitInputs);
    for (int64_t r = 0; r < kUnitRows; ++r) {
      uint16_t* to = tile + r * kUnitInputs;
      const int64_t taken = r < rows ? inputs : 0;
      if (taken > 0) std::memcpy(to, x + r * in + k, static_cast<size_t>(taken) * sizeof(uint16_t));
      std::fill(to + taken, to + kUnitInputs, uint16_t{0});
    }
  }
}

int64_t unit_panels(int64_t rows, int64_t depth) {
  // One after the other, as memory likes it, while x stays in the second cache or few rows wait for
  // memory anyhow. Cores with a matrix unit have 2 MiB of it: half of that for x.
  constexpr int64_t kX = int64_t{1} << 20;
  if (rows <= kFewRows || rows * depth * static_cast<int64_t>(sizeof(uint16_t)) <= kX) return 1;
  // Else a piece of x stays there, over as many panels as their sums leave room for.
  constexpr int64_t kSums = int64_t{1} << 18;
  return std::clamp<int64_t>(kSums / (rows * kPanel), 1, 32);
}

#ifdef __x86_64__

namespace {

/// Numbers of a tile, and the weights of two: 32 outputs of 32 inputs.
constexpr int64_t kTile = kUnitRows * kUnitInputs;
constexpr int64_t kWeights = 2 * kTile;
constexpr int64_t kLine = 64;

/// What LDTILECFG reads.
struct alignas(64) TileShapes {
  uint8_t palette = 0;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileShapes) == 64);

/// The tiles' shapes while a thread multiplies; those that it had before come back, because other
/// libraries take them for granted.
class Tiles {
 public:
  ELASTIKV_AMX Tiles() {
    _tile_storeconfig(&before_);
    TileShapes ours;
    ours.palette = 1;
    for (int i = 0; i < 8; ++i) {
      ours.row_bytes[i] = kLine;
      ours.rows[i] = kUnitRows;
    }
    _tile_loadconfig(&ours);
  }
  ELASTIKV_AMX ~Tiles() {
    if (before_.palette == 0) {
      _tile_release();
    } else {
      _tile_loadconfig(&before_);
    }
  }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

 private:
  TileShapes before_;
};

/// What memory is asked for during a pass: some lines four times a step. All at once they would
/// take every buffer that the step's own loads need.
struct Ahead {
  const char* next;
  int64_t lines;

  ELASTIKV_INLINE void ask() {
    // Into the second cache: the first is full of what the pass itself reads.
    constexpr int kCache = 2;
    for (int64_t line = 0; line < lines; ++line)
      __builtin_prefetch(next + line * kLine, /*rw=*/0, kCache);
    next += lines * kLine;
  }
};
/// Times a step that a pass asks.
constexpr int64_t kAsks = 4;

/// Adds to the sums [16 or 32 rows, 32] of a panel what `steps` times 32 inputs give; the first
/// inputs set them. `x` points to the tiles of the first 16 rows, `x_below` to those of the others.
template <bool kBoth>
ELASTIKV_AMX void pass(const uint16_t* x, const uint16_t* x_below, const uint16_t* weights,
                       int64_t steps, bool begins, float* sums, Ahead& ahead) {
  constexpr int64_t kStride = kPanel * static_cast<int64_t>(sizeof(float));
  float* below = sums + kUnitRows * kPanel;
  if (begins) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kBoth) {
      _tile_zero(2);
      _tile_zero(3);
    }
  } else {
    _tile_loadd(0, sums, kStride);
    _tile_loadd(1, sums + kUnitRows, kStride);
    if constexpr (kBoth) {
      _tile_loadd(2, below, kStride);
      _tile_loadd(3, below + kUnitRows, kStride);
    }
  }
  for (int64_t step = 0; step < steps; ++step) {
    const uint16_t* here = weights + step * kWeights;
    _tile_loadd(6, here, 2 * kLine);
    ahead.ask();
    _tile_loadd(4, x + step * kTile, kLine);
    _tile_dpbf16ps(0, 4, 6);
    ahead.ask();
    _tile_loadd(7, here + kUnitInputs, 2 * kLine);
    _tile_dpbf16ps(1, 4, 7);
    ahead.ask();
    if constexpr (kBoth) {
      _tile_loadd(5, x_below + step * kTile, kLine);
      _tile_dpbf16ps(2, 5, 6);
      ahead.ask();
      _tile_dpbf16ps(3, 5, 7);
    } else {
      ahead.ask();
    }
  }
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + kUnitRows, kStride);
  if constexpr (kBoth) {
    _tile_stored(2, below, kStride);
    _tile_stored(3, below + kUnitRows, kStride);
  }
}

/// Adds what inputs [k, k + 32 * steps) give to a panel's sums [rows, 32].
ELASTIKV_AMX void add_inputs(const UnitProduct& p, int64_t panel, int64_t k, int64_t steps,
                             float* sums, Ahead& ahead) {
  const uint16_t* weights = p.weights + (panel * p.depth + k) * kPanel;
  const int64_t block = steps * kTile;
  for (int64_t row = 0; row < p.rows; row += kPassRows) {
    const uint16_t* x = p.x + k * p.rows + row / kUnitRows * block;
    float* to = sums + row * kPanel;
    if (row + kUnitRows < p.rows) {
      pass<true>(x, x + block, weights, steps, k == 0, to, ahead);
    } else {
      pass<false>(x, nullptr, weights, steps, k == 0, to, ahead);
    }
  }
}

/// Linux gives the tiles' registers only to a process that asks for them.
bool ask_for_tiles() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned kBf16 = 1U << 22U;
  constexpr unsigned kTileRegisters = 1U << 24U;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  if ((d & kBf16) == 0 || (d & kTileRegisters) == 0) return false;
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool has_matrix_unit() {
  static const bool has = vector_width() == 16 && ask_for_tiles();
  return has;
}

ELASTIKV_AMX void unit_sums(const UnitProduct& p, int64_t first, int64_t panels, float* sums) {
  const bool few = p.rows <= kPassRows;
  const int64_t passes = (p.rows + kPassRows - 1) / kPassRows;
  constexpr int64_t kStepLines = kWeights * static_cast<int64_t>(sizeof(uint16_t)) / kLine;
  const Tiles tiles;
  for (int64_t k = 0; k < p.depth; k += p.piece) {
    const int64_t steps = std::min(p.piece, p.depth - k) / kUnitInputs;
    for (int64_t panel = 0; panel < panels; ++panel) {
      // What is read next: four steps on, or in two pieces' time, or the next panel's. Asking
      // beyond the last is no error.
      const uint16_t* next = p.weights + ((first + panel) * p.depth + k) * kPanel;
      next += few ? 4 * kWeights : panels == 1 ? 2 * steps * kWeights : p.depth * kPanel;
      Ahead ahead{reinterpret_cast<const char*>(next),
                  (kStepLines + passes * kAsks - 1) / (passes * kAsks)};
      add_inputs(p, first + panel, k, steps, sums + panel * p.rows * kPanel, ahead);
    }
  }
}

#else

bool has_matrix_unit() { return false; }

void unit_sums(const UnitProduct&, int64_t, int64_t, float*) {
  throw InternalError("a product for a matrix unit that is not there");
}

#endif

}  // namespace elastikv::cpu
