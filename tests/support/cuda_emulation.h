#pragma once

// CUDA's device language as far as the kernels in lib/kernels/cuda use it, so that g++ compiles
// their sources and a CPU runs them: included before each .cu file. Every CUDA thread is a fiber;
// blocks run one after the other. A fiber runs until it waits for others (a barrier of the block or
// of its warp, a shuffle, a vote) and waits forever, which fails, when they do not come. Shared
// memory is as large as the launch asked for, ends at an inaccessible page and begins as NaNs; the
// order in which threads run can be turned round, so that a missing barrier shows.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <vector>

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include "kernels/cuda/launch.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
  constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1)
      : x(x_size), y(y_size), z(z_size) {}
};

namespace elastikv::cuda_emulation {

enum class Order { kForward, kBackward };
/// The order in which the threads of a block and the blocks of a grid run.
void set_order(Order order);

/// Runs a kernel over a grid of one-dimensional blocks when the launcher runs it.
void launch(dim3 grid, dim3 block, size_t shared_bytes, std::function<void()> kernel);
/// What takes the work of streams: a device that the tests emulate. There must be one.
using Launcher = void (*)(std::function<void()> work);
void set_launcher(Launcher launcher);
/// Ends when all threads of the block that still run have come here.
void wait_for_block();
/// Ends when all 32 threads of the warp have come here.
void wait_for_warp();
unsigned char* shared_memory();
/// This thread's 16 bytes of what its warp exchanges; lane < 32 of the same warp.
unsigned char* exchange(int lane);
int current_lane();

}  // namespace elastikv::cuda_emulation

// The names are CUDA's.
// NOLINTBEGIN(readability-identifier-naming)
extern dim3 threadIdx;
extern dim3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

using __half = c10::Half;
using __nv_bfloat16 = c10::BFloat16;

inline float __half2float(__half x) { return static_cast<float>(x); }
inline float __bfloat162float(__nv_bfloat16 x) { return static_cast<float>(x); }
inline __half __float2half_rn(float x) { return c10::Half(x); }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return c10::BFloat16(x); }
inline unsigned __float_as_uint(float x) {
  unsigned bits = 0;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }

template <typename T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
T max(T a, T b) {
  return a < b ? b : a;
}

inline void __syncthreads() { elastikv::cuda_emulation::wait_for_block(); }
inline void __syncwarp() { elastikv::cuda_emulation::wait_for_warp(); }

template <typename T>
T __shfl_xor_sync(unsigned /*lanes*/, T x, int other) {
  namespace emulation = elastikv::cuda_emulation;
  std::memcpy(emulation::exchange(emulation::current_lane()), &x, sizeof(T));
  emulation::wait_for_warp();
  T result;
  std::memcpy(&result, emulation::exchange(emulation::current_lane() ^ other), sizeof(T));
  emulation::wait_for_warp();
  return result;
}

inline unsigned __ballot_sync(unsigned /*lanes*/, bool vote) {
  namespace emulation = elastikv::cuda_emulation;
  *emulation::exchange(emulation::current_lane()) = vote ? 1 : 0;
  emulation::wait_for_warp();
  unsigned votes = 0;
  for (int lane = 0; lane < 32; ++lane)
    votes |= static_cast<unsigned>(*emulation::exchange(lane)) << lane;
  emulation::wait_for_warp();
  return votes;
}

inline unsigned atomicAdd(unsigned* to, unsigned x) {
  const unsigned before = *to;
  *to += x;
  return before;
}

namespace nvcuda::wmma {

struct row_major {};
struct col_major {};
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
enum layout_t { mem_row_major, mem_col_major };

/// Operands: every lane holds the whole matrix, as [row][column].
template <typename Use, int kRows, int kColumns, int kDepth, typename T, typename Layout = void>
struct fragment {
  static_assert(kRows == 16 && kColumns == 16 && kDepth == 16);
  static constexpr int num_elements = 256;
  T x[num_elements];
};

/// Accumulators: every lane holds eight elements, of places that follow no pattern of the
/// hardware's, which promises none.
template <int kRows, int kColumns, int kDepth>
struct fragment<accumulator, kRows, kColumns, kDepth, float, void> {
  static_assert(kRows == 16 && kColumns == 16 && kDepth == 16);
  static constexpr int num_elements = 8;
  float x[num_elements];
};

using Accumulator = fragment<accumulator, 16, 16, 16, float>;

/// The index row * 16 + column of this lane's element i. 37 and 256 have no common divisor.
inline int place_of(int i) { return (elastikv::cuda_emulation::current_lane() * 8 + i) * 37 % 256; }

inline void fill_fragment(Accumulator& to, float value) {
  for (float& x : to.x) x = value;
}

template <typename Use, typename T, typename Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, T, Layout>& to, const T* from, unsigned pitch) {
  constexpr bool kByRows = std::is_same_v<Layout, row_major>;
  for (unsigned i = 0; i < 16; ++i) {
    for (unsigned j = 0; j < 16; ++j)
      to.x[i * 16 + j] = kByRows ? from[i * pitch + j] : from[j * pitch + i];
  }
}

inline void load_matrix_sync(Accumulator& to, const float* from, unsigned pitch,
                             layout_t /*layout*/) {
  for (int i = 0; i < Accumulator::num_elements; ++i) {
    const int place = place_of(i);
    to.x[i] = from[static_cast<size_t>(place / 16) * pitch + static_cast<size_t>(place % 16)];
  }
  elastikv::cuda_emulation::wait_for_warp();
}

inline void store_matrix_sync(float* to, const Accumulator& from, unsigned pitch,
                              layout_t /*layout*/) {
  for (int i = 0; i < Accumulator::num_elements; ++i) {
    const int place = place_of(i);
    to[static_cast<size_t>(place / 16) * pitch + static_cast<size_t>(place % 16)] = from.x[i];
  }
  elastikv::cuda_emulation::wait_for_warp();
}

template <typename T, typename LayoutA, typename LayoutB>
void mma_sync(Accumulator& to, const fragment<matrix_a, 16, 16, 16, T, LayoutA>& a,
              const fragment<matrix_b, 16, 16, 16, T, LayoutB>& b, const Accumulator& c) {
  for (int i = 0; i < Accumulator::num_elements; ++i) {
    const int place = place_of(i);
    float sum = c.x[i];
    for (int k = 0; k < 16; ++k) {
      sum += static_cast<float>(a.x[place / 16 * 16 + k]) *
             static_cast<float>(b.x[k * 16 + place % 16]);
    }
    to.x[i] = sum;
  }
}

}  // namespace nvcuda::wmma
// NOLINTEND(readability-identifier-naming)

namespace elastikv::cuda {

inline unsigned char* shared_memory() { return cuda_emulation::shared_memory(); }

template <typename... Parameters, typename... Arguments>
void launch(const char* /*name*/, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            size_t shared, Stream /*stream*/, const Arguments&... arguments) {
  cuda_emulation::launch(grid, block, shared, [=] { kernel(arguments...); });
}

}  // namespace elastikv::cuda
