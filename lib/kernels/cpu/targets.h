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

/// Floats of a vector of the instructions that LibTorch uses here: 4, 8 or 16.
inline int vector_width() {
#ifdef __x86_64__
  static const int width = [] {
    const std::string capability = at::get_cpu_capability();
    return capability == "AVX512" ? 16 : capability == "AVX2" ? 8 : 4;
  }();
  return width;
#else
  return 4;
#endif
}

/// The body for this processor.
template <typename Body>
Body for_this_processor(Body of_4, Body of_8, Body of_16) {
  switch (vector_width()) {
    case 16:
      return of_16;
    case 8:
      return of_8;
    default:
      return of_4;
  }
}

}  // namespace elastikv::cpu
