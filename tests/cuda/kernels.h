// What tests of the CUDA kernels and of models on a GPU share. They run on the device of device.h,
// or are skipped where there is no GPU.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "base/device.h"
#include "base/error.h"
#include "device.h"
#include "runtime/machine.h"
#ifdef ELASTIKV_CUDA_EMULATION
#include "support/cuda_emulation.h"
#endif

namespace elastikv {

/// What `compute` returns, which has to be the same to the last bit when it is computed again: on a
/// GPU in whatever order its threads run, emulated with threads and blocks from last to first.
inline at::Tensor computed_twice(const std::function<at::Tensor()>& compute) {
  at::Tensor result = compute();
  synchronize(kDevice);
#ifdef ELASTIKV_CUDA_EMULATION
  cuda_emulation::set_order(cuda_emulation::Order::kBackward);
#endif
  const at::Tensor again = compute();
  synchronize(kDevice);
#ifdef ELASTIKV_CUDA_EMULATION
  cuda_emulation::set_order(cuda_emulation::Order::kForward);
#endif
  EXPECT_TRUE(result.equal(again)) << "the result depends on the order in which threads run";
  return result;
}

inline at::Tensor on_device(const at::Tensor& x) { return x.to(kDevice); }

inline void skip_without_gpu() {
  if (!is_available(kDevice)) GTEST_SKIP() << "skipped: no GPU";
}

class CudaKernels : public testing::Test {
 protected:
  void SetUp() override { skip_without_gpu(); }
};

/// Limits of attention weights, whose sums run in another order.
constexpr double kWeightLimit = 1e-5;

}  // namespace elastikv
