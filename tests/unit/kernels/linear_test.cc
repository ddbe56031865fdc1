#include "kernels/linear.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "kernels/cpu/bf16_pairs.h"
#include "kernels/cpu/matrix_unit.h"
#include "kernels/cpu/panel_weights.h"
#include "kernels/cpu/tile_product.h"
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

TEST(Linear, HasABiasAndAddsToAResidual) {
  // Odd sizes: outputs that fill no panel, inputs that fill no block.
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {1, 2, 3, 4, 5, 8, 11, 13, 25, 485}) {
      const at::Tensor weight = random_tensor({99, 283}, 1).to(dtype);
      const at::Tensor bias = random_tensor({99}, 2).to(dtype);
      const at::Tensor x = random_tensor({rows, 283}, 3).to(dtype);
      const at::Tensor residual = random_tensor({rows, 99}, 4).to(dtype);
      const at::Tensor product =
          at::matmul(x.to(at::kFloat), weight.to(at::kFloat).t()) + bias.to(at::kFloat);
      // bf16: values up to about 60, and the sum is rounded a second time.
      const double limit = dtype == at::kFloat ? 1e-4 : 0.51;
      const Linear layer(weight, bias);
      EXPECT_LT(max_difference(layer(x), product), limit);
      EXPECT_LT(max_difference(layer.of_prompt(x), product), limit);
      const at::Tensor sum = residual.clone();
      layer.add_to(sum, x);
      EXPECT_LT(max_difference(sum, residual.to(at::kFloat) + product), limit) << rows << " rows";
      const at::Tensor prompt = residual.clone();
      layer.add_prompt_to(prompt, x);
      EXPECT_LT(max_difference(prompt, residual.to(at::kFloat) + product), limit);
    }
  }
}

TEST(Linear, SumsLongRowsMoreExactlyThanOneRunningSum) {
  const at::Tensor weight = random_tensor({33, 11008}, 1);
  const at::Tensor x = random_tensor({2, 11008}, 2);
  const at::Tensor exact = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
  at::Tensor running = at::zeros({2, 33});
  for (int64_t k = 0; k < 11008; ++k)
    running += x.narrow(1, k, 1) * weight.narrow(1, k, 1).view({1, 33});
  const double error = (Linear(weight, {})(x).to(at::kDouble) - exact).abs().mean().item<double>();
  EXPECT_LT(error, 0.5 * (running.to(at::kDouble) - exact).abs().mean().item<double>());
}

TEST(Linear, StacksSeveralMatrices) {
  const at::Tensor first = random_tensor({40, 50}, 1);
  const at::Tensor second = random_tensor({7, 50}, 2);
  const at::Tensor bias = random_tensor({47}, 3);
  const at::Tensor x = random_tensor({9, 50}, 4);
  EXPECT_TRUE(Linear({first, second}, bias)(x).equal(Linear(at::cat({first, second}), bias)(x)));
}

TEST(Linear, Fp32WeightsThatAreBf16NumbersGiveTheProductOfFp32) {
  // Another dtype in memory, the same numbers: one element that bf16 lacks decides.
  const at::Tensor narrow = random_tensor({64, 300}, 1).to(at::kBFloat16).to(at::kFloat);
  at::Tensor wide = narrow.clone();
  wide[63][299] += 1e-5F;
  const at::Tensor x = random_tensor({5, 300}, 2);
  EXPECT_EQ(cpu::PanelWeights({narrow}).stored(), at::kBFloat16);
  EXPECT_EQ(cpu::PanelWeights({wide}).stored(), at::kFloat);
  const at::Tensor expected = Linear(wide, {})(x);
  const at::Tensor got = Linear(narrow, {})(x);
  EXPECT_TRUE(got.narrow(1, 0, 63).equal(expected.narrow(1, 0, 63)));
  EXPECT_FALSE(got.select(1, 63).equal(expected.select(1, 63)));
}

TEST(PanelWeights, GiveTheirRowsBack) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    // Odd, and more than are turned at a time: a last input without a neighbour.
    for (const int64_t in : {70, 71, 1, 32, 515, 1027}) {
      const at::Tensor weight = random_tensor({100, in}, 1).to(dtype);
      const cpu::PanelWeights panels({weight});
      EXPECT_TRUE(panels.rows(0, 100, dtype).equal(weight)) << in;
      EXPECT_TRUE(panels.rows(32, 70, dtype).equal(weight.narrow(0, 32, 38))) << in;
      EXPECT_TRUE(panels.rows(96, 100, at::kFloat).equal(weight.narrow(0, 96, 4).to(at::kFloat)))
          << in;
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

TEST(Linear, ARowsBitsDoNotDependOnTheOthersOrOnThreads) {
  // A sweep runs as many cells at a time as memory allows, and every strategy at budget 1.0 must
  // equal the full cache to the last bit. 600 rows are more than are laid out at a time.
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Linear linear(random_tensor({150, 576}, 1).to(dtype), random_tensor({150}, 2).to(dtype));
    const at::Tensor x = random_tensor({600, 576}, 3).to(dtype);
    const at::Tensor all = linear(x);
    for (int64_t row = 0; row < 600; row += row < 30 ? 1 : 57)
      ASSERT_TRUE(linear(x.narrow(0, row, 1))[0].equal(all[row])) << dtype << ", row " << row;
    for (const int64_t rows : {2, 5, 7, 12, 13, 19, 55, 66, 150, 354})
      ASSERT_TRUE(linear(x.narrow(0, 600 - rows, rows)).equal(all.narrow(0, 600 - rows, rows)))
          << dtype << ", " << rows << " rows";
    const int threads = at::get_num_threads();
    at::set_num_threads(3);
    EXPECT_TRUE(linear(x).equal(all));
    at::set_num_threads(threads);
  }
}

TEST(Linear, ANaNStaysInItsRow) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Linear linear(random_tensor({70, 300}, 1).to(dtype), {});
    at::Tensor x = random_tensor({20, 300}, 2).to(dtype);
    const at::Tensor before = linear(x);
    x[7][123] = std::numeric_limits<float>::quiet_NaN();
    const at::Tensor y = linear(x);
    EXPECT_TRUE(y[7].isnan().all().item<bool>());
    EXPECT_TRUE(y[6].equal(before[6]) && y[8].equal(before[8]));
  }
}

TEST(Linear, AMatrixUnitSumsAsExactlyAsVectorsDo) {
  if (!cpu::has_matrix_unit()) GTEST_SKIP() << "this processor multiplies by vectors";
  const at::Tensor weight = random_tensor({70, 2050}, 1).to(at::kBFloat16);
  const cpu::PanelWeights panels({weight});
  for (const int64_t rows : {1, 16, 17, 32, 33, 70}) {
    const at::Tensor x = random_tensor({rows, 2050}, 2).to(at::kBFloat16);
    const int64_t blocks = (rows + cpu::kUnitRows - 1) / cpu::kUnitRows;
    std::vector<uint16_t> tiles(static_cast<size_t>(blocks * cpu::kUnitRows * panels.depth()));
    const cpu::UnitProduct unit{.weights = static_cast<const uint16_t*>(panels.data()),
                                .x = tiles.data(),
                                .depth = panels.depth(),
                                .rows = blocks * cpu::kUnitRows,
                                .piece = cpu::unit_piece(blocks * cpu::kUnitRows, panels.depth())};
    const auto* from = static_cast<const uint16_t*>(x.const_data_ptr());
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t row = block * cpu::kUnitRows;
      cpu::lay_out_block(from + row * 2050, std::min(cpu::kUnitRows, rows - row), 2050, block, unit,
                         tiles.data());
    }
    const at::Tensor sums = at::zeros({panels.panels(), unit.rows, cpu::kPanel});
    cpu::unit_sums(unit, 0, panels.panels(), sums.mutable_data_ptr<float>());
    const at::Tensor product = sums.transpose(0, 1)
                                   .reshape({blocks * cpu::kUnitRows, -1})
                                   .narrow(0, 0, rows)
                                   .narrow(1, 0, 70);
    const at::Tensor exact = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
    // Sums of up to about 180: measured 4e-5.
    EXPECT_LT(max_difference(product, exact), 2e-4) << rows << " rows";
  }
}

TEST(Linear, PairsSumAsExactlyAsVectorsDo) {
  if (!cpu::has_bf16_pairs()) GTEST_SKIP() << "this processor does not multiply pairs of bf16";
  // Odd: a last input without a neighbour.
  constexpr int64_t kInputs = 2051;
  const at::Tensor weight = random_tensor({70, kInputs}, 1).to(at::kBFloat16);
  const cpu::PanelWeights panels({weight});
  for (const int64_t rows : {1, 2, 11, 12, 13, 25, 70}) {
    const at::Tensor x = random_tensor({rows, kInputs}, 2).to(at::kBFloat16);
    cpu::TileProduct product{.weights = panels.data(),
                             .x = nullptr,
                             .depth = panels.depth(),
                             .rows = rows,
                             .tiles = (rows + cpu::kPairRows - 1) / cpu::kPairRows,
                             .tile_rows = cpu::kPairRows};
    std::vector<uint32_t> tiles(
        static_cast<size_t>(product.tiles * cpu::kPairRows * panels.depth() / 2));
    for (int64_t tile = 0; tile < product.tiles; ++tile)
      cpu::lay_out_pairs(static_cast<const uint16_t*>(x.const_data_ptr()), kInputs, 0, tile,
                         product, tiles.data());
    product.x = tiles.data();
    const at::Tensor sums = at::zeros({panels.panels(), rows, cpu::kPanel});
    for (int64_t panel = 0; panel < panels.panels(); ++panel)
      cpu::pair_sums(product, panel, sums[panel].mutable_data_ptr<float>());
    const at::Tensor got = sums.transpose(0, 1).reshape({rows, -1}).narrow(1, 0, 70);
    const at::Tensor exact = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
    EXPECT_LT(max_difference(got, exact), 2e-4) << rows << " rows";
  }
}

TEST(Linear, LeavesLibTorchsProductsAsTheyAre) {
  // Both may use the same matrix unit, whose shape of tiles is a thread's state.
  const at::Tensor weight = random_tensor({150, 576}, 1).to(at::kBFloat16);
  const Linear ours(weight, {});
  for (const int64_t rows : {1, 20, 200}) {
    const at::Tensor x = random_tensor({rows, 576}, 2).to(at::kBFloat16);
    const at::Tensor expected = at::linear(x, weight);
    const at::Tensor own = ours(x);
    EXPECT_TRUE(at::linear(x, weight).equal(expected)) << rows << " rows";
    EXPECT_TRUE(ours(x).equal(own)) << rows << " rows";
  }
}

TEST(Linear, HalfPrecisionIsLibTorchs) {
  const at::Tensor weight = random_tensor({48, 32}, 21).to(at::kHalf);
  const Linear layer(weight, {});
  EXPECT_FALSE(layer.copied());
  const at::Tensor x = random_tensor({3, 32}, 23).to(at::kHalf);
  EXPECT_TRUE(layer(x).equal(at::linear(x, weight)));
}

}  // namespace
}  // namespace elastikv
