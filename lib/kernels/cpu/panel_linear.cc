#include "kernels/cpu/panel_linear.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/bf16_pairs.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/matrix_unit.h"
#include "kernels/cpu/share_work.h"
#include "kernels/cpu/targets.h"
#include "kernels/cpu/tile_product.h"

// How a product runs. Few rows only wait for the weights, many only for the arithmetic, and between
// the two both must go on at the same time. So one loop serves all: the weights of 256 inputs of a
// panel (8 to 32 KiB) are brought near once, and every few rows of x, as many as the sums of fit
// registers, go over them; meanwhile these passes together ask memory for the next 256 inputs,
// evenly, so that it never rests.

namespace elastikv::cpu {
namespace {

/// Rows that are worked on together, their inputs in fp32 and in the order of use.
constexpr int64_t kMostRows = 480;
/// Half a panel: the vectors of a pair lie so far apart.
constexpr int64_t kHalf = kPanel / 2;

/// What vectors of 4, 8 or 16 floats allow: rows whose sums with two vectors of outputs fit the
/// registers beside the weights.
template <int kWidth>
struct Width : Vectors<kWidth> {
  static constexpr int kRows = kWidth == 16 ? 12 : 6;
  static constexpr int kGroups = kHalf / kWidth;  // pairs of vectors that make a panel
};

/// Inputs whose weights lie together.
template <typename T>
constexpr int kTogether = sizeof(float) / sizeof(T);

/// The weights of one of the inputs that lie together for the vector pair `group` of a panel:
/// outputs [group, group + 1) * width and as many from kHalf on.
template <int kWidth>
ELASTIKV_INLINE void load_pair(const float* weights, int64_t group, int /*input*/,
                               typename Width<kWidth>::Floats& first,
                               typename Width<kWidth>::Floats& second) {
  std::memcpy(&first, weights + group * kWidth, sizeof(first));
  std::memcpy(&second, weights + kHalf + group * kWidth, sizeof(second));
}
template <int kWidth>
ELASTIKV_INLINE void load_pair(const uint16_t* weights, int64_t group, int input,
                               typename Width<kWidth>::Floats& first,
                               typename Width<kWidth>::Floats& second) {
  // Read again for the second input: sixteen registers do not hold the words beside the sums.
  if constexpr (kWidth < 16) asm volatile("" ::: "memory");
  typename Width<kWidth>::Words words[2];
  std::memcpy(&words[0], weights + group * kWidth * 2, sizeof(words[0]));
  std::memcpy(&words[1], weights + (kHalf + group * kWidth) * 2, sizeof(words[1]));
#pragma GCC unroll 2
  for (auto& word : words) {
    if (input == 0) {
      word <<= 16;
    } else {
      word &= 0xFFFF0000U;
    }
  }
  std::memcpy(&first, &words[0], sizeof(first));
  std::memcpy(&second, &words[1], sizeof(second));
}

/// sums [kRows, kPanel] of kGroups vector pairs from `group` on; the first inputs set them, later
/// ones are added.
template <int kWidth, int kRows, int kGroups, typename T>
ELASTIKV_INLINE void pass(const T* weights, int64_t group, const float* x, int64_t depth,
                          float* sums, bool first, const Ahead& ahead) {
  using Floats = typename Width<kWidth>::Floats;
  // Two cache lines per input, where a single pass has to ask for all.
  constexpr bool kTwoLines = sizeof(T) == sizeof(float) && kGroups == Width<kWidth>::kGroups;
  Floats sum[kRows][kGroups][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
      sum[r][g][0] = Floats{};
      sum[r][g][1] = Floats{};
    }
  }
  for (int64_t k = 0; k < depth; k += kTogether<T>) {
#pragma GCC unroll 2
    for (int input = 0; input < kTogether<T>; ++input) {
      const int64_t i = k + input;
      __builtin_prefetch(ahead.next + i * ahead.step);
      if constexpr (kTwoLines) __builtin_prefetch(ahead.next + i * ahead.step + 64);
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) {
        Floats weight[2];
        load_pair<kWidth>(weights + k * kPanel, group + g, input, weight[0], weight[1]);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const float x_of_row = x[i * Width<kWidth>::kRows + r];
          // Not +=, which multiplies before it reads the sum: clang's sanitizers check that read,
          // and what they part is not fused, so that a row's bits would depend on the rows beside
          // it.
          sum[r][g][0] = sum[r][g][0] + x_of_row * weight[0];
          sum[r][g][1] = sum[r][g][1] + x_of_row * weight[1];
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        float* to = sums + r * kPanel + half * kHalf + (group + g) * kWidth;
        Floats total = sum[r][g][half];
        if (!first) {
          Floats before;
          std::memcpy(&before, to, sizeof(before));
          total = before + total;
        }
        std::memcpy(to, &total, sizeof(total));
      }
    }
  }
}

/// Whether so many rows go over a whole panel at a time; otherwise over one vector pair after the
/// other.
template <int kWidth>
constexpr bool whole_panel(int64_t rows) {
  return Width<kWidth>::kGroups == 1 || rows * Width<kWidth>::kGroups <= Width<kWidth>::kRows;
}

template <int kWidth, int kRows, typename T>
ELASTIKV_INLINE void passes_of(int64_t rows, const T* weights, const float* x, int64_t depth,
                               float* sums, bool first, Ahead& ahead) {
  if (rows != kRows) {
    if constexpr (kRows > 1)
      passes_of<kWidth, kRows - 1>(rows, weights, x, depth, sums, first, ahead);
    return;
  }
  if constexpr (whole_panel<kWidth>(kRows)) {
    pass<kWidth, kRows, Width<kWidth>::kGroups>(weights, 0, x, depth, sums, first, ahead);
    ahead.next += ahead.step * depth;
  } else {
    for (int64_t group = 0; group < Width<kWidth>::kGroups; ++group) {
      pass<kWidth, kRows, 1>(weights, group, x, depth, sums, first, ahead);
      ahead.next += ahead.step * depth;
    }
  }
}

template <int kWidth, typename T>
ELASTIKV_INLINE void panel_sums(const TileProduct& p, int64_t panel, float* sums) {
  int64_t passes = 0;
  for (int64_t tile = 0; tile < p.tiles; ++tile) {
    passes +=
        whole_panel<kWidth>(p.first_row(tile + 1) - p.first_row(tile)) ? 1 : Width<kWidth>::kGroups;
  }
  const T* weights = static_cast<const T*>(p.weights) + panel * p.depth * kPanel;
  const auto* x = static_cast<const float*>(p.x);
  for (int64_t k = 0; k < p.depth; k += kDepth) {
    const int64_t depth = std::min(kDepth, p.depth - k);
    const T* here = weights + k * kPanel;
    // The panels lie one behind the other. Asking beyond the last is no error.
    Ahead ahead{reinterpret_cast<const char*>(here + depth * kPanel),
                kPanel * static_cast<int64_t>(sizeof(T)) / passes};
    for (int64_t tile = 0; tile < p.tiles; ++tile) {
      const int64_t row = p.first_row(tile);
      passes_of<kWidth, Width<kWidth>::kRows>(p.first_row(tile + 1) - row, here,
                                              x + (tile * p.depth + k) * p.tile_rows, depth,
                                              sums + row * kPanel, k == 0, ahead);
    }
  }
}

void sums_of_4_fp32(const TileProduct& product, int64_t panel, float* sums) {
  panel_sums<4, float>(product, panel, sums);
}
void sums_of_4_bf16(const TileProduct& product, int64_t panel, float* sums) {
  panel_sums<4, uint16_t>(product, panel, sums);
}
ELASTIKV_AVX2 void sums_of_8_fp32(const TileProduct& product, int64_t panel, float* sums) {
  panel_sums<8, float>(product, panel, sums);
}
ELASTIKV_AVX2 void sums_of_8_bf16(const TileProduct& product, int64_t panel, float* sums) {
  panel_sums<8, uint16_t>(product, panel, sums);
}
ELASTIKV_AVX512 void sums_of_16_fp32(const TileProduct& product, int64_t panel, float* sums) {
  panel_sums<16, float>(product, panel, sums);
}
ELASTIKV_AVX512 void sums_of_16_bf16(const TileProduct& product, int64_t panel, float* sums) {
  panel_sums<16, uint16_t>(product, panel, sums);
}

/// The bodies for this processor: those of the instructions that LibTorch uses here.
struct Bodies {
  PanelSums fp32 = sums_of_4_fp32;
  PanelSums bf16 = sums_of_4_bf16;
  int64_t tile_rows = Width<4>::kRows;

  static const Bodies& here() {
    static const Bodies bodies =
        for_this_processor(Bodies{}, Bodies{sums_of_8_fp32, sums_of_8_bf16, Width<8>::kRows},
                           Bodies{sums_of_16_fp32, sums_of_16_bf16, Width<16>::kRows});
    return bodies;
  }
};

/// Memory of the thread that is used again by its next call.
float* scratch(size_t size, bool inputs) {
  static thread_local std::vector<float> buffers[2];
  std::vector<float>& buffer = buffers[inputs ? 1 : 0];
  if (buffer.size() < size) buffer.resize(size);
  return buffer.data();
}

/// Rows [first, first + rows) of x as the tiles of a product.
template <typename T>
void lay_out(const at::Tensor& x, int64_t first, const TileProduct& p, float* to) {
  const int64_t in = x.size(1);
  const T* from = static_cast<const T*>(x.const_data_ptr()) + first * in;
  const int64_t grain = std::max<int64_t>(1, (1 << 15) / (p.depth * p.tile_rows));
  at::parallel_for(0, p.tiles, grain, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      float* out = to + tile * p.depth * p.tile_rows;
      const int64_t row = p.first_row(tile);
      const int64_t rows = p.first_row(tile + 1) - row;
      constexpr int64_t kBlock = 64;
      for (int64_t k = 0; k < in; k += kBlock) {
        const int64_t last = std::min(k + kBlock, in);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t i = k; i < last; ++i)
            out[i * p.tile_rows + r] = widen(from[(row + r) * in + i]);
        }
      }
      std::fill(out + in * p.tile_rows, out + p.depth * p.tile_rows, 0.0F);
    }
  });
}

/// Where a product's outputs go.
struct Outputs {
  const void* bias;      // [out], or null
  const void* residual;  // [rows, out], or null: the rounded product is added to it
  void* y;               // [rows, out]
  int64_t out;
};

template <typename T>
void write(const float* sums, int64_t rows, int64_t first_row, int64_t panel, const Outputs& to) {
  const int64_t first = panel * kPanel;
  const int64_t outputs = std::min(kPanel, to.out - first);
  const T* bias = to.bias == nullptr ? nullptr : static_cast<const T*>(to.bias) + first;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t at = (first_row + r) * to.out + first;
    T* y = static_cast<T*>(to.y) + at;
    const T* residual = to.residual == nullptr ? nullptr : static_cast<const T*>(to.residual) + at;
    for (int64_t j = 0; j < outputs; ++j) {
      float total = sums[r * kPanel + j];
      if (bias != nullptr) total += widen(bias[j]);
      T rounded;
      narrow(total, rounded);
      if (residual != nullptr) narrow(widen(rounded) + widen(residual[j]), rounded);
      y[j] = rounded;
    }
  }
}

/// Threads are worth waking for so many multiplications.
constexpr int64_t kWork = 1 << 16;

/// Calls `multiply(first, rows)` for rows that are worked on together, as few times as can be.
template <typename Multiply>
void for_parts(int64_t all, Multiply multiply) {
  const int64_t parts = (all + kMostRows - 1) / kMostRows;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = all * part / parts;
    multiply(first, all * (part + 1) / parts - first);
  }
}

/// Multiplies by `body`, for which `lay_out(first, product, tiles)` lays out rows of x from `first`
/// on, each in `row_floats` floats of the scratch memory.
template <typename T, typename LayOut>
void multiply_in_tiles(int64_t all, const PanelWeights& weights, PanelSums body, int64_t tile_rows,
                       int64_t row_floats, LayOut lay_out_rows, const Outputs& to) {
  for_parts(all, [&](int64_t first, int64_t rows) {
    TileProduct product{.weights = weights.data(),
                        .x = nullptr,
                        .depth = weights.depth(),
                        .rows = rows,
                        .tiles = (rows + tile_rows - 1) / tile_rows,
                        .tile_rows = tile_rows};
    float* inputs =
        scratch(static_cast<size_t>(product.tiles * tile_rows * row_floats), /*inputs=*/true);
    lay_out_rows(first, product, inputs);
    product.x = inputs;
    const int64_t grain = std::max<int64_t>(1, kWork / (kPanel * product.depth * product.rows));
    share_work(weights.panels(), grain, [&](int64_t begin, int64_t end) {
      float* sums = scratch(static_cast<size_t>(product.rows * kPanel), /*inputs=*/false);
      for (int64_t panel = begin; panel < end; ++panel) {
        body(product, panel, sums);
        write<T>(sums, product.rows, first, panel, to);
      }
    });
  });
}

template <typename T>
void multiply_by_vectors(const at::Tensor& x, const PanelWeights& weights, const Outputs& to) {
  const Bodies& bodies = Bodies::here();
  multiply_in_tiles<T>(
      x.size(0), weights, weights.stored() == at::kFloat ? bodies.fp32 : bodies.bf16,
      bodies.tile_rows, weights.depth(),
      [&](int64_t first, const TileProduct& product, float* tiles) {
        lay_out<T>(x, first, product, tiles);
      },
      to);
}

/// bf16 numbers in pairs.
void multiply_by_pairs(const at::Tensor& x, const PanelWeights& weights, const Outputs& to) {
  const auto* from = static_cast<const uint16_t*>(x.const_data_ptr());
  multiply_in_tiles<uint16_t>(
      x.size(0), weights, pair_sums, kPairRows, weights.depth() / 2,
      [&](int64_t first, const TileProduct& product, float* tiles) {
        const int64_t grain = std::max<int64_t>(1, (1 << 15) / (product.depth * kPairRows));
        at::parallel_for(0, product.tiles, grain, [&](int64_t begin, int64_t end) {
          for (int64_t tile = begin; tile < end; ++tile)
            lay_out_pairs(from, weights.in(), first, tile, product,
                          reinterpret_cast<uint32_t*>(tiles));
        });
      },
      to);
}

/// bf16 numbers on a matrix unit.
void multiply_by_unit(const at::Tensor& x, const PanelWeights& weights, const Outputs& to) {
  const int64_t depth = weights.depth();
  for_parts(x.size(0), [&](int64_t first, int64_t rows) {
    const int64_t blocks = (rows + kUnitRows - 1) / kUnitRows;
    auto* tiles = reinterpret_cast<uint16_t*>(
        scratch(static_cast<size_t>(blocks * kUnitRows * depth / 2), /*inputs=*/true));
    const UnitProduct product{.weights = static_cast<const uint16_t*>(weights.data()),
                              .x = tiles,
                              .depth = depth,
                              .rows = blocks * kUnitRows,
                              .piece = unit_piece(blocks * kUnitRows, depth)};
    const auto* from = static_cast<const uint16_t*>(x.const_data_ptr()) + first * weights.in();
    at::parallel_for(0, blocks, std::max<int64_t>(1, (1 << 15) / depth),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t block = begin; block < end; ++block) {
                         const int64_t row = block * kUnitRows;
                         lay_out_block(from + row * weights.in(), std::min(kUnitRows, rows - row),
                                       weights.in(), block, product, tiles);
                       }
                     });
    const int64_t together = unit_panels(product.rows, depth);
    const int64_t groups = (weights.panels() + together - 1) / together;
    const int64_t grain = std::max<int64_t>(1, kWork / (kPanel * together * depth * product.rows));
    share_work(groups, grain, [&](int64_t begin, int64_t end) {
      const int64_t panel_sums = product.rows * kPanel;
      float* sums = scratch(static_cast<size_t>(together * panel_sums), /*inputs=*/false);
      for (int64_t group = begin; group < end; ++group) {
        const int64_t panel = group * together;
        const int64_t panels = std::min(together, weights.panels() - panel);
        unit_sums(product, panel, panels, sums);
        for (int64_t i = 0; i < panels; ++i)
          write<uint16_t>(sums + i * panel_sums, rows, first, panel + i, to);
      }
    });
  });
}

}  // namespace

at::Tensor panel_linear(const at::Tensor& x, const PanelWeights& weights, const at::Tensor& bias,
                        const at::Tensor& residual) {
  const at::ScalarType dtype = x.scalar_type();
  ELASTIKV_ASSERT((dtype == at::kFloat || dtype == at::kBFloat16) && x.dim() == 2 &&
                      x.size(1) == weights.in() && x.is_cpu(),
                  "x [rows, {}] in fp32 or bf16 is needed", weights.in());
  ELASTIKV_ASSERT(!bias.defined() || (bias.is_contiguous() && bias.scalar_type() == dtype &&
                                      bias.numel() == weights.out()),
                  "a contiguous bias [{}] of x's dtype is needed", weights.out());
  ELASTIKV_ASSERT(
      !residual.defined() || (residual.is_contiguous() && residual.scalar_type() == dtype &&
                              residual.size(0) == x.size(0) && residual.size(1) == weights.out()),
      "a contiguous residual [rows, {}] of x's dtype is needed", weights.out());
  at::Tensor y = residual.defined() ? residual : at::empty({x.size(0), weights.out()}, x.options());
  const Outputs to{.bias = bias.defined() ? bias.const_data_ptr() : nullptr,
                   .residual = residual.defined() ? residual.const_data_ptr() : nullptr,
                   .y = y.mutable_data_ptr(),
                   .out = weights.out()};
  const at::Tensor inputs = x.contiguous();
  if (dtype == at::kFloat) {
    multiply_by_vectors<float>(inputs, weights, to);
  } else if (has_matrix_unit() && weights.stored() == at::kBFloat16) {
    multiply_by_unit(inputs, weights, to);
  } else if (has_bf16_pairs() && weights.stored() == at::kBFloat16) {
    multiply_by_pairs(inputs, weights, to);
  } else {
    multiply_by_vectors<uint16_t>(inputs, weights, to);
  }
  return y;
}

}  // namespace elastikv::cpu
