#include "kernels/norm.h"

#include <gtest/gtest.h>

#include "support/tensors.h"

namespace elastikv {
namespace {

TEST(RmsNorm, EqualsTheReference) {
  for (const int64_t rows : {1, 3, 41, 177}) {
    for (const int64_t size : {7, 64, 576}) {
      const at::Tensor x = random_tensor({rows, size}, 1) * 5;
      const at::Tensor weight = random_tensor({size}, 2);
      // Values up to about 10; sums of squares are added in another order.
      EXPECT_LT(max_difference(rms_norm(x, weight, 1e-5), reference::rms_norm(x, weight, 1e-5)),
                1e-5);
    }
  }
}

TEST(RmsNorm, HalfPrecisionIsNormalizedInFp32) {
  const at::Tensor x =
      (random_tensor({4, 64}, 1) * 300).to(at::kHalf);  // squares would overflow fp16
  const at::Tensor weight = random_tensor({64}, 2).to(at::kHalf);
  const at::Tensor expected = reference::rms_norm(x.to(at::kFloat), weight.to(at::kFloat), 1e-5);
  EXPECT_LT(max_difference(rms_norm(x, weight, 1e-5), expected), 0.01);
}

TEST(RmsNorm, EqualRowsGiveEqualBits) {
  const at::Tensor row = random_tensor({1, 576}, 1);
  const at::Tensor weight = random_tensor({576}, 2);
  const at::Tensor y = rms_norm(row.expand({41, 576}), weight, 1e-5);
  for (int64_t r = 0; r < 41; ++r) EXPECT_TRUE(y[r].equal(y[0]));
}

}  // namespace
}  // namespace elastikv
