#include "kernels/rotary.h"

#include <cmath>

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/tensors.h"

namespace elastikv {
namespace {

TEST(RotaryTable, TurnsEachPairByItsAngle) {
  const int64_t head_dim = 8;
  const RotaryTable table(head_dim, RotaryRule{100.0}, /*max_positions=*/50, at::kCPU);
  const at::Tensor x = random_tensor({2, 3, head_dim}, 1);
  const std::vector<int64_t> positions{0, 7, 49};
  const at::Tensor y = table.rotate(x, at::tensor(positions, at::kLong));
  for (int64_t h = 0; h < 2; ++h) {
    for (int64_t t = 0; t < 3; ++t) {
      for (int64_t d = 0; d < head_dim / 2; ++d) {
        const double angle =
            static_cast<double>(positions[static_cast<size_t>(t)]) *
            std::pow(100.0, -2.0 * static_cast<double>(d) / static_cast<double>(head_dim));
        const double a = x[h][t][d].item<double>();
        const double b = x[h][t][d + head_dim / 2].item<double>();
        EXPECT_NEAR(y[h][t][d].item<double>(), a * std::cos(angle) - b * std::sin(angle), 2e-6);
        EXPECT_NEAR(y[h][t][d + head_dim / 2].item<double>(),
                    b * std::cos(angle) + a * std::sin(angle), 2e-6);
      }
    }
  }
}

TEST(RotaryTable, SectionsTurnByTheirOwnAxis) {
  const RotaryTable table(12, RotaryRule{.theta = 50.0, .sections = {3, 1, 2}}, 40, at::kCPU);
  const std::vector<int64_t> axis_of_pair{0, 0, 0, 1, 2, 2};
  const at::Tensor x = random_tensor({2, 2, 12}, 7);
  const at::Tensor positions = at::tensor({5, 39, 0, 7, 31, 2}, at::kLong).view({3, 2});
  const at::Tensor y = table.rotate(x, positions);
  for (int64_t t = 0; t < 2; ++t) {
    for (int64_t d = 0; d < 6; ++d) {
      const auto position =
          static_cast<double>(positions[axis_of_pair[static_cast<size_t>(d)]][t].item<int64_t>());
      const double angle = position * std::pow(50.0, -2.0 * static_cast<double>(d) / 12);
      const double a = x[1][t][d].item<double>();
      const double b = x[1][t][d + 6].item<double>();
      EXPECT_NEAR(y[1][t][d].item<double>(), a * std::cos(angle) - b * std::sin(angle), 2e-6);
      EXPECT_NEAR(y[1][t][d + 6].item<double>(), b * std::cos(angle) + a * std::sin(angle), 2e-6);
    }
  }
  EXPECT_LT(max_difference(table.unrotate(y, positions), x), 2e-6);
  // Equal positions in all axes are one position.
  const at::Tensor one = at::tensor({3, 17}, at::kLong);
  EXPECT_LT(max_difference(table.rotate(x, one.expand({3, 2})), table.rotate(x, one)), 1e-7);
  // Signed offsets per axis lead from one position to another.
  const at::Tensor others = at::tensor({9, 3, 30, 7, 0, 39}, at::kLong).view({3, 2});
  EXPECT_LT(max_difference(table.turn_by(y, others - positions), table.rotate(x, others)), 5e-6);
}

TEST(RotaryTable, LinearScalingDividesPositions) {
  const RotaryTable scaled(8, RotaryRule{.theta = 100.0, .linear_factor = 4}, 50, at::kCPU);
  const RotaryTable plain(8, RotaryRule{100.0}, 50, at::kCPU);
  const at::Tensor x = random_tensor({1, 1, 8}, 8);
  EXPECT_LT(max_difference(scaled.rotate(x, at::tensor({40}, at::kLong)),
                           plain.rotate(x, at::tensor({10}, at::kLong))),
            1e-6);
}

TEST(RotaryTable, UnrotateIsTheInverse) {
  const RotaryTable table(64, RotaryRule{10000.0}, 4096, at::kCPU);
  const at::Tensor x = random_tensor({3, 100, 64}, 2);
  const at::Tensor positions = at::arange(3900, 4000, at::kLong);
  EXPECT_LT(max_difference(table.unrotate(table.rotate(x, positions), positions), x), 2e-6);
}

TEST(RotaryTable, RowsAreRotatedByTheirOwnPositions) {
  const RotaryTable table(16, RotaryRule{10000.0}, 64, at::kCPU);
  const at::Tensor x = random_tensor({4, 3, 16}, 3);  // [rows, heads, head_dim]
  const at::Tensor positions = at::tensor({5, 0, 63, 5}, at::kLong);
  const at::Tensor rows = RotaryTable::rotate_rows(x, table.angles(positions, at::kFloat));
  for (int64_t r = 0; r < 4; ++r) {
    EXPECT_TRUE(
        rows[r].unsqueeze(1).equal(table.rotate(x[r].unsqueeze(1), positions.narrow(0, r, 1))));
  }
}

TEST(RotaryTable, PositionZeroChangesNoBit) {
  const RotaryTable table(16, RotaryRule{10000.0}, 4, at::kCPU);
  const at::Tensor x = random_tensor({2, 3, 16}, 4);
  const at::Tensor zero = at::tensor({0, 0}, at::kLong);
  EXPECT_TRUE(RotaryTable::rotate_rows(x, table.angles(zero, at::kFloat)).equal(x));
}

TEST(RotaryTable, TurnsOnAndBack) {
  const RotaryTable rotary(16, RotaryRule{10000.0}, 64, at::kCPU);
  const at::Tensor x = random_tensor({2, 4, 16}, 1);
  const at::Tensor from = at::tensor({0, 5, 63, 17}, at::kLong);
  const at::Tensor to = at::tensor({63, 2, 0, 17}, at::kLong);
  const at::Tensor rotated = rotary.rotate(x, from);
  const at::Tensor turned = rotary.turn_by(rotated, to - from);
  EXPECT_LT(max_difference(turned, rotary.rotate(x, to)), 1e-5);
  // Not at all: the very bits.
  EXPECT_TRUE(turned.select(1, 3).equal(rotated.select(1, 3)));
  // bf16 is turned in fp32.
  EXPECT_EQ(rotary.turn_by(rotated.to(at::kBFloat16), to - from).scalar_type(), at::kFloat);
}

TEST(RotaryTable, FrequenciesAreThoseOfTheFormula) {
  const RotaryTable rotary(16, RotaryRule{10000.0}, 64, at::kCPU);
  const at::Tensor& frequencies = rotary.frequencies();
  ASSERT_EQ(frequencies.scalar_type(), at::kDouble);
  ASSERT_EQ(frequencies.sizes(), at::IntArrayRef({8}));
  for (int64_t d = 0; d < 8; ++d) {
    const double expected = std::pow(10000.0, -static_cast<double>(2 * d) / 16);
    EXPECT_NEAR(frequencies[d].item<double>(), expected, 1e-6 * expected);
  }
}

TEST(RotaryTable, RowsHaveTheAnglesOfTheirOwnTables) {
  const RotaryTable one(8, RotaryRule{100.0}, /*max_positions=*/50, at::kCPU);
  const RotaryTable other(8, RotaryRule{3000.0}, /*max_positions=*/50, at::kCPU);
  const at::Tensor positions = at::tensor(std::vector<int64_t>{3, 4, 9, 0, 3, 49}, at::kLong);
  const auto mixed = RotaryTable::angles_of_rows({&one, &other, &one}, positions, at::kFloat);
  for (const auto part : {&RotaryTable::Angles::cos, &RotaryTable::Angles::sin}) {
    const at::Tensor of_one = one.angles(positions, at::kFloat).*part;
    const at::Tensor of_other = other.angles(positions, at::kFloat).*part;
    EXPECT_TRUE((mixed.*part).narrow(0, 0, 2).equal(of_one.narrow(0, 0, 2)));
    EXPECT_TRUE((mixed.*part).narrow(0, 2, 2).equal(of_other.narrow(0, 2, 2)));
    EXPECT_TRUE((mixed.*part).narrow(0, 4, 2).equal(of_one.narrow(0, 4, 2)));
    EXPECT_FALSE(of_one.equal(of_other));
    EXPECT_TRUE((RotaryTable::angles_of_rows({&other, &other}, positions, at::kFloat).*part)
                    .equal(of_other));
  }
}

}  // namespace
}  // namespace elastikv
