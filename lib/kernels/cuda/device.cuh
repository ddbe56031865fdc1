#pragma once

// What the kernels need of CUDA. tests/support/cuda_emulation.h stands in for it where the kernels
// are compiled to run on the CPU. C++17 only.

#include <cstddef>
#include <cstdint>

#ifndef ELASTIKV_CUDA_EMULATION
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <mma.h>
#endif

#include "kernels/cuda/launch.h"

namespace elastikv::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFU;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

__device__ inline void store(float* to, float x) { *to = x; }
__device__ inline void store(__half* to, float x) { *to = __float2half_rn(x); }
__device__ inline void store(__nv_bfloat16* to, float x) { *to = __float2bfloat16_rn(x); }

/// Calls `launch` with a value of the type that an element is of.
template <typename Launch>
void for_element(Element element, const Launch& launch) {
  switch (element) {
    case Element::kFloat:
      launch(float());
      break;
    case Element::kHalf:
      launch(__half());
      break;
    case Element::kBFloat16:
      launch(__nv_bfloat16());
      break;
  }
}

/// Elements in 16 bytes, what a thread loads at once.
template <typename T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

template <typename T>
struct alignas(16) Vector {
  T x[kVector<T>];
};

/// `from` is 16-byte aligned.
template <typename T>
__device__ inline Vector<T> load_vector(const T* from) {
  return *reinterpret_cast<const Vector<T>*>(from);
}

#ifndef ELASTIKV_CUDA_EMULATION
/// The block's shared memory, as much as the launch asked for.
__device__ inline unsigned char* shared_memory() {
  extern __shared__ __align__(128) unsigned char memory[];
  return memory;
}

/// Starts a kernel; throws through launch_failed() when it cannot start. More than 48 KiB of shared
/// memory has to be asked for first.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared,
            Stream stream, const Arguments&... arguments) {
  constexpr size_t kWithoutAsking = 48 * 1024;
  cudaError_t error = cudaSuccess;
  if (shared > kWithoutAsking) {
    error =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
  }
  if (error == cudaSuccess) {
    kernel<<<grid, block, shared, stream>>>(arguments...);
    error = cudaGetLastError();
  }
  if (error != cudaSuccess) launch_failed(name, cudaGetErrorString(error));
}
#endif

/// The entry of a place, see EntryView.
template <typename T>
__device__ inline const T* place_entry(int32_t place, const void* own, const void* of_prompt,
                                       int head_dim) {
  return place >= 0 ? static_cast<const T*>(of_prompt) + static_cast<size_t>(place) * head_dim
                    : static_cast<const T*>(own) + static_cast<size_t>(~place) * head_dim;
}

/// The entry of a slot, which lies in a row or at its place.
template <typename T>
__device__ inline const T* slot_entry(const int32_t* places, int slot, const void* own,
                                      const void* of_prompt, int head_dim) {
  return place_entry<T>(places == nullptr ? ~slot : places[slot], own, of_prompt, head_dim);
}

/// Carves aligned pieces out of the block's shared memory; on the host, with no memory, it counts
/// how much the pieces take.
class SharedPieces {
 public:
  __host__ __device__ explicit SharedPieces(unsigned char* memory) : memory_(memory) {}

  template <typename T>
  __host__ __device__ T* take(size_t count) {
    unsigned char* piece = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += (count * sizeof(T) + kAlign - 1) / kAlign * kAlign;
    return reinterpret_cast<T*>(piece);
  }
  __host__ __device__ size_t used() const { return used_; }

 private:
  static constexpr size_t kAlign = 128;
  unsigned char* memory_;
  size_t used_ = 0;
};

/// The first index of ascending `x` [count] that is not below `value`.
__device__ inline int64_t lower_bound(const int64_t* x, int64_t count, int64_t value) {
  int64_t begin = 0;
  while (count > 0) {
    const int64_t half = count / 2;
    if (x[begin + half] < value) {
      begin += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return begin;
}

template <typename T>
__device__ inline T warp_sum(T x) {
#pragma unroll
  for (int lane = kWarp / 2; lane > 0; lane /= 2) x += __shfl_xor_sync(kAllLanes, x, lane);
  return x;
}

__device__ inline float warp_max(float x) {
#pragma unroll
  for (int lane = kWarp / 2; lane > 0; lane /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, lane));
  return x;
}

}  // namespace elastikv::cuda
