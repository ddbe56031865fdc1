#include "kernels/linear.h"

#include <cstdint>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "support/tensors.h"

namespace elastikv {
namespace {

TEST(Linear, EqualsTheProduct) {
  for (const int64_t rows : {1, 5, 40, 177}) {
    const at::Tensor weight = random_tensor({96, 80}, 1);
    const at::Tensor bias = random_tensor({96}, 2);
    const at::Tensor x = random_tensor({rows, 80}, 3);
    const at::Tensor expected = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t()) + bias;
    EXPECT_LT(max_difference(Linear(weight, bias)(x), expected), 1e-4) << rows << " rows";
    EXPECT_LT(max_difference(Linear(weight, {})(x), expected - bias), 1e-4) << rows << " rows";
  }
}

TEST(Linear, FewRowsAndManyAgree) {
  // Odd sizes: outputs and inputs that fill no vector.
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {1, 2, 3, 4, 5, 8, 11}) {
      const at::Tensor weight = random_tensor({99, 83}, 1).to(dtype);
      const at::Tensor bias = random_tensor({99}, 2).to(dtype);
      const at::Tensor x = random_tensor({rows, 83}, 3).to(dtype);
      const at::Tensor residual = random_tensor({rows, 99}, 4).to(dtype);
      const at::Tensor product =
          at::matmul(x.to(at::kFloat), weight.to(at::kFloat).t()) + bias.to(at::kFloat);
      // bf16: values up to about 30, and the sum is rounded a second time.
      const double limit = dtype == at::kFloat ? 1e-4 : 0.26;
      EXPECT_LT(max_difference(cpu::few_rows_linear(x, weight, bias), product), limit);
      const at::Tensor sum = residual.clone();
      Linear(weight, bias).add_to(sum, x);
      EXPECT_LT(max_difference(sum, residual.to(at::kFloat) + product), limit) << rows << " rows";
    }
  }
}

TEST(Linear, Bf16RoundsTheProductOnce) {
  const at::Tensor weight = random_tensor({32, 64}, 1).to(at::kBFloat16);
  const at::Tensor x = random_tensor({7, 64}, 2).to(at::kBFloat16);
  const at::Tensor expected = at::matmul(x.to(at::kFloat), weight.to(at::kFloat).t());
  // Values up to about 30: one unit in the last place of bf16 there is 0.125.
  EXPECT_LE(max_difference(Linear(weight, {})(x), expected), 0.13);
}

TEST(Linear, EqualRowsGiveEqualBits) {
  // Every strategy at budget 1.0 must equal the full cache to the last bit while both decode in one
  // batch.
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Linear linear(random_tensor({1536, 576}, 1).to(dtype), {});
    std::vector<int64_t> row_counts = {66, 150, 162, 354};
    for (int64_t rows = 2; rows <= 42; ++rows) row_counts.push_back(rows);
    for (const int64_t rows : row_counts) {
      const at::Tensor x = random_tensor({1, 576}, 2).to(dtype).expand({rows, 576}).contiguous();
      const at::Tensor y = linear(x);
      ASSERT_EQ(y.sizes(), (std::vector<int64_t>{rows, 1536}));
      for (int64_t r = 1; r < rows; ++r)
        ASSERT_TRUE(y[r].equal(y[0])) << dtype << ", " << rows << " rows, row " << r;
    }
  }
}

TEST(Linear, SmallMemoryGivesTheSame) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor weight = random_tensor({48, 32}, 21).to(dtype);
    const at::Tensor bias = random_tensor({48}, 22).to(dtype);
    const Linear fast(weight, bias);
    const Linear small(weight, bias, LinearMemory::kSmall);
    for (const int64_t rows : {1, 3, 40}) {
      const at::Tensor x = random_tensor({rows, 32}, 23).to(dtype);
      const double tolerance = dtype == at::kFloat ? 1e-5 : 0.1;
      EXPECT_LT(max_difference(small(x), fast(x)), tolerance) << rows << " rows";
      const at::Tensor residual = at::ones({rows, 48}, x.options());
      small.add_to(residual, x);
      EXPECT_LT(max_difference(residual, fast(x) + 1), tolerance) << rows << " rows";
    }
  }
}

}  // namespace
}  // namespace elastikv
