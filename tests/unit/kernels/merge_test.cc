#include "kernels/merge.h"

#include <random>
#include <vector>

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/tensors.h"

namespace elastikv {
namespace {

/// The definition, entry by entry in double.
at::Tensor brute_force(const at::Tensor& x, const std::vector<int64_t>& kept,
                       const std::vector<int64_t>& source, const std::vector<int64_t>& anchor,
                       const std::vector<double>& source_weight,
                       const std::vector<double>& anchor_weight) {
  const at::Tensor out =
      at::empty({x.size(0), static_cast<int64_t>(kept.size()), x.size(2)}, at::kDouble);
  for (size_t a = 0; a < kept.size(); ++a) {
    at::Tensor sum = x.select(1, kept[a]).to(at::kDouble) * anchor_weight[a];
    double total = anchor_weight[a];
    for (size_t i = 0; i < source.size(); ++i) {
      if (anchor[i] != static_cast<int64_t>(a)) continue;
      sum = sum + x.select(1, source[i]).to(at::kDouble) * source_weight[i];
      total += source_weight[i];
    }
    out.select(1, static_cast<int64_t>(a)).copy_(sum / total);
  }
  return out;
}

TEST(GatherAndMerge, EqualsTheBruteForceMean) {
  std::mt19937_64 random(7);
  for (const int64_t slots : {3, 20, 181}) {
    const at::Tensor x = random_tensor({3, slots, 16}, static_cast<uint64_t>(slots));
    std::vector<int64_t> kept;
    std::vector<int64_t> source;
    std::vector<int64_t> anchor;
    for (int64_t i = 0; i < slots; ++i) {
      if (i == 0 || random() % 3 == 0) {
        kept.push_back(i);
      } else {
        source.push_back(i);
      }
    }
    std::vector<double> source_weight;
    std::vector<double> anchor_weight;
    for (size_t i = 0; i < source.size(); ++i) {
      anchor.push_back(static_cast<int64_t>(random() % kept.size()));
      source_weight.push_back(0.25 * static_cast<double>(1 + random() % 8));
    }
    for (size_t a = 0; a < kept.size(); ++a)
      anchor_weight.push_back(0.5 * static_cast<double>(1 + random() % 4));
    const std::vector<double> ones_s(source.size(), 1.0);
    const std::vector<double> ones_a(kept.size(), 1.0);
    const auto ids = [](const std::vector<int64_t>& v) { return at::tensor(v, at::kLong); };
    const auto weights = [](const std::vector<double>& v) {
      return at::tensor(v, at::kDouble).to(at::kFloat);
    };

    EXPECT_LT(max_difference(gather_and_merge(x, ids(kept), ids(source), ids(anchor), {}, {}),
                             brute_force(x, kept, source, anchor, ones_s, ones_a)),
              1e-6);
    EXPECT_LT(max_difference(gather_and_merge(x, ids(kept), ids(source), ids(anchor),
                                              weights(source_weight), weights(anchor_weight)),
                             brute_force(x, kept, source, anchor, source_weight, anchor_weight)),
              1e-6);
  }
}

TEST(GatherAndMerge, AnchorsWithoutSourcesKeepTheirBits) {
  const at::Tensor x = random_tensor({2, 6, 8}, 1).to(at::kBFloat16);
  const at::Tensor kept = at::tensor({0, 2, 5}, at::kLong);
  const at::Tensor merged =
      gather_and_merge(x, kept, at::tensor({1}, at::kLong), at::tensor({0}, at::kLong), {}, {});
  EXPECT_TRUE(merged.select(1, 1).equal(x.select(1, 2)));
  EXPECT_TRUE(merged.select(1, 2).equal(x.select(1, 5)));
  EXPECT_FALSE(merged.select(1, 0).equal(x.select(1, 0)));
}

TEST(GatherAndMerge, ASourceMayBeItsOwnAnchorAndComeTwice) {
  const at::Tensor x = at::tensor({1.0, 4.0}, at::kFloat).view({1, 2, 1});
  // (1 + 1 + 4 + 4) / 4
  const at::Tensor merged =
      gather_and_merge(x, at::tensor({0}, at::kLong), at::tensor({0, 1, 1}, at::kLong),
                       at::tensor({0, 0, 0}, at::kLong), {}, {});
  EXPECT_FLOAT_EQ(merged.item<float>(), 2.5F);
}

}  // namespace
}  // namespace elastikv
