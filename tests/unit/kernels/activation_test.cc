#include "kernels/activation.h"

#include <cmath>
#include <cstdlib>

#include <gtest/gtest.h>

#include "kernels/cpu/exp.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

TEST(Exp, IsWithinTwoUnitsInTheLastPlace) {
  for (float x = -87.0F; x <= 88.0F; x += 0.00137F) {
    const double exact = std::exp(static_cast<double>(x));
    ASSERT_LE(std::abs(static_cast<double>(cpu::exp(x)) - exact), exact * 2.4e-7) << x;
  }
  EXPECT_EQ(cpu::exp(0.0F), 1.0F);
  EXPECT_LT(cpu::exp(-1e30F), 2e-38F);
}

TEST(GatedSilu, EqualsTheReference) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {1, 3, 41}) {
      const at::Tensor x = (random_tensor({rows, 2 * 77}, 1) * 4).to(dtype);
      // bf16: the operators round in between; values up to about 100.
      const double limit = dtype == at::kFloat ? 1e-5 : 1.0;
      EXPECT_LT(max_difference(gated_silu(x), reference::gated_silu(x)), limit);
      EXPECT_LT(max_difference(gated_silu(x), reference::gated_silu(x.to(at::kFloat))),
                dtype == at::kFloat ? 1e-5 : 0.26);
    }
  }
}

}  // namespace
}  // namespace elastikv
