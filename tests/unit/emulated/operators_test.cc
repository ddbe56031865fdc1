// Operators on the emulated device: the CPU's results, and the failures of a GPU.
#include <functional>
#include <vector>

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/full.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "support/tensors.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

class EmulatedOperators : public OnEmulatedDevice {
 protected:
  using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

  /// The same to the last bit: the operators are the CPU's.
  static void expect_the_cpus(const Function& compute, const std::vector<at::Tensor>& arguments) {
    std::vector<at::Tensor> there;
    for (const at::Tensor& x : arguments) there.push_back(x.to(kEmulated));
    const at::Tensor computed = compute(there);
    EXPECT_EQ(computed.device(), kEmulated);
    const at::Tensor expected = compute(arguments);
    EXPECT_EQ(computed.sizes(), expected.sizes());
    EXPECT_EQ(computed.scalar_type(), expected.scalar_type());
    EXPECT_TRUE(computed.cpu().equal(expected));
  }
};

TEST_F(EmulatedOperators, ComputeAsTheCpuDoes) {
  const at::Tensor x = random_tensor({4, 6}, 1);
  const at::Tensor y = random_tensor({4, 6}, 2);
  const at::Tensor indices = at::tensor({2, 0, 1}, at::kLong);
  expect_the_cpus([](const auto& a) { return a[0] + a[1] * 2; }, {x, y});
  expect_the_cpus([](const auto& a) { return at::matmul(a[0], a[1].t()); }, {x, y});
  expect_the_cpus([](const auto& a) { return at::linear(a[0], a[1], a[1].select(1, 0)); }, {x, y});
  expect_the_cpus([](const auto& a) { return at::softmax(a[0], -1); }, {x});
  expect_the_cpus([](const auto& a) { return at::log_softmax(a[0].to(at::kDouble), -1); }, {x});
  expect_the_cpus([](const auto& a) { return at::logsumexp(a[0], {-1}); }, {x});
  expect_the_cpus(
      [](const auto& a) { return at::silu(a[0].narrow(1, 0, 3)).mul_(a[1].narrow(1, 3, 3)); },
      {x, y});
  expect_the_cpus([](const auto& a) { return at::layer_norm(a[0], {6}, a[1].select(0, 0)); },
                  {x, y});
  expect_the_cpus([](const auto& a) { return at::embedding(a[0], a[1]); }, {x, indices});
  expect_the_cpus([](const auto& a) { return a[0].index_select(0, a[1]); }, {x, indices});
  expect_the_cpus([](const auto& a) { return a[0].index_copy(0, a[1], a[2].narrow(0, 0, 3)); },
                  {x, indices, y});
  expect_the_cpus([](const auto& a) { return at::cat({a[0], a[1]}, 1); }, {x, y});
  expect_the_cpus([](const auto& a) { return at::stack({a[0], a[1]}); }, {x, y});
  expect_the_cpus([](const auto& a) { return at::roll(a[0], 2, -1); }, {x});
  expect_the_cpus([](const auto& a) { return at::where(a[0] > 0, a[0], a[1]); }, {x, y});
  expect_the_cpus([](const auto& a) { return a[0].argmax(-1); }, {x});
  expect_the_cpus(
      [](const auto& a) {
        return a[0].transpose(0, 1).contiguous().view({3, 8});
      },
      {x});
  expect_the_cpus([](const auto& a) { return a[0].to(at::kBFloat16).to(at::kFloat); }, {x});
  expect_the_cpus([](const auto& a) { return a[0].clone().masked_fill_(a[1] > 0, 7); }, {x, y});
  expect_the_cpus([](const auto& a) { return std::get<0>(a[0].topk(2)); }, {x});
  expect_the_cpus([](const auto& a) { return std::get<1>(a[0].sort(1)); }, {x});
  expect_the_cpus([](const auto& a) { return a[0].repeat_interleave(2, 0); }, {x});
  expect_the_cpus([](const auto& a) { return a[0].index({a[1]}); }, {x, indices});
  EXPECT_TRUE(at::arange(3, 9, at::TensorOptions(at::kLong).device(kEmulated))
                  .cpu()
                  .equal(at::arange(3, 9, at::kLong)));
  EXPECT_TRUE(at::full({2, 2}, 5, at::TensorOptions(at::kFloat).device(kEmulated))
                  .cpu()
                  .equal(at::full({2, 2}, 5, at::kFloat)));
}

TEST_F(EmulatedOperators, ShapesThatDependOnNumbersWait) {
  const at::Tensor x = random_tensor({4, 6}, 1);
  const emulated::Counters before = emulated::counted();
  expect_the_cpus([](const auto& a) { return at::nonzero(a[0] > 0); }, {x});
  expect_the_cpus([](const auto& a) { return a[0].index({a[0] > 0}); }, {x});
  // A copy there, the shape, and a copy back.
  EXPECT_GE((emulated::counted() - before).synchronisations, 6);
}

TEST_F(EmulatedOperators, AttentionIsFused) {
  const at::Tensor q = random_tensor({1, 2, 5, 8}, 1);
  const auto attend = [](const auto& a) {
    return at::scaled_dot_product_attention(a[0], a[0], a[0]).contiguous();
  };
  const at::Tensor there = q.to(kEmulated);
  const emulated::Counters before = emulated::counted();
  const at::Tensor attended = attend(std::vector<at::Tensor>{there});
  // Attention, and the copy that makes it contiguous.
  EXPECT_EQ((emulated::counted() - before).launches, 2);
  EXPECT_LE(max_difference(attended.cpu(), attend(std::vector<at::Tensor>{q})), 1e-6);
}

TEST_F(EmulatedOperators, MixedDevicesFail) {
  const at::Tensor here = at::zeros({4});
  const at::Tensor there = here.to(kEmulated);
  try {
    const at::Tensor sum = there + here;
    FAIL() << "a sum over two devices";
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what_without_backtrace())
                  .find("Expected all tensors to be on the same device, but found at least two "
                        "devices, emulated:0 and cpu!"),
              std::string::npos)
        << error.what_without_backtrace();
  }
  EXPECT_THROW(here + there, c10::Error);
  EXPECT_THROW(there.index_select(0, at::zeros({1}, at::kLong)), c10::Error);
  // A single number of the CPU travels with the launch.
  EXPECT_EQ((there + at::scalar_tensor(3)).sum().item<float>(), 12);
}

TEST_F(EmulatedOperators, AnErrorOfNumbersIsToldByWhoeverWaits) {
  const at::Tensor there = at::zeros({4}).to(kEmulated);
  const at::Tensor far = at::full({1}, 9, at::kLong).to(kEmulated);
  const at::Tensor read = there.index_select(0, far);
  EXPECT_THROW(wait(), c10::Error);
  EXPECT_NO_THROW(wait());
}

TEST_F(EmulatedOperators, ViewsShareTheirMemory) {
  const at::Tensor x = at::zeros({4, 4}, at::TensorOptions().device(kEmulated));
  x.narrow(0, 1, 2).transpose(0, 1).select(0, 3).fill_(2);
  EXPECT_EQ(x.sum().item<float>(), 4);
  EXPECT_EQ(x.cpu()[2][3].item<float>(), 2);
}

}  // namespace
}  // namespace elastikv
