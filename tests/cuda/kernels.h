// What tests of the CUDA kernels share. They are compiled twice: with ELASTIKV_CUDA_EMULATION the
// kernels' own sources run on the CPU, a fiber for every CUDA thread (see
// support/cuda_emulation.h); without it they run on a GPU, or are skipped where there is none.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <gtest/gtest.h>

#include "base/device.h"
#include "base/error.h"
#ifdef ELASTIKV_CUDA_EMULATION
#include "support/cuda_emulation.h"
#endif

namespace elastikv {

#ifdef ELASTIKV_CUDA_EMULATION
inline const c10::Device kDevice(c10::DeviceType::CPU);
constexpr bool kEmulated = true;
#else
inline const c10::Device kDevice(c10::DeviceType::CUDA, 0);
constexpr bool kEmulated = false;
#endif

/// What `compute` returns, which has to be the same to the last bit when it is computed again: on a
/// GPU in whatever order its threads run, emulated with threads and blocks from last to first.
inline at::Tensor computed_twice(const std::function<at::Tensor()>& compute) {
  at::Tensor result = compute();
#ifdef ELASTIKV_CUDA_EMULATION
  cuda_emulation::set_order(cuda_emulation::Order::kBackward);
  const at::Tensor again = compute();
  cuda_emulation::set_order(cuda_emulation::Order::kForward);
#else
  const at::Tensor again = compute();
#endif
  EXPECT_TRUE(result.equal(again)) << "the result depends on the order in which threads run";
  return result;
}

inline at::Tensor on_device(const at::Tensor& x) { return x.to(kDevice); }

class CudaKernels : public testing::Test {
 protected:
  void SetUp() override { skip_without_gpu(); }

 public:
  static void skip_without_gpu() {
    if (kEmulated) return;
    try {
      require_available(kDevice);
    } catch (const Error&) {
      GTEST_SKIP() << "skipped: no GPU";
    }
  }
};

/// Limits of attention weights, whose sums run in another order.
constexpr double kWeightLimit = 1e-5;

}  // namespace elastikv
