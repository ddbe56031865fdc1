#pragma once

#include <string>

#include <ATen/Version.h>

// Kernels whose registers are planned for a processor have a body for vectors of 4, 8 and 16 floats
// each. Others leave that to the compiler (clones.h).
#ifdef __x86_64__
#define ELASTIKV_AVX2 __attribute__((target("avx2,fma")))
#define ELASTIKV_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#else
#define ELASTIKV_AVX2
#define ELASTIKV_AVX512
#endif

namespace elastikv::cpu {

/// The body for this processor: that of the instructions that LibTorch uses here.
template <typename Body>
Body for_this_processor(Body of_4, [[maybe_unused]] Body of_8, [[maybe_unused]] Body of_16) {
#ifdef __x86_64__
  static const std::string capability = at::get_cpu_capability();
  if (capability == "AVX512") return of_16;
  if (capability == "AVX2") return of_8;
#endif
  return of_4;
}

}  // namespace elastikv::cpu
