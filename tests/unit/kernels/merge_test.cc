#include "kernels/merge.h"

#include <random>
#include <vector>

#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/tensors.h"

namespace elastikv {
namespace {

/// The definition, entry by entry in double.
at::Tensor brute_force(const at::Tensor& x, const std::vector<int64_t>& kept,
                       const std::vector<int64_t>& source, const std::vector<int64_t>& anchor,
                       const std::vector<double>& source_weight,
                       const std::vector<double>& anchor_weight, bool mean = true) {
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
    out.select(1, static_cast<int64_t>(a)).copy_(mean ? sum / total : sum);
  }
  return out;
}

MergeRows rows_of(const std::vector<int64_t>& kept, const std::vector<int64_t>& source,
                  const std::vector<int64_t>& anchor) {
  MergeRows rows;
  rows.kept = at::tensor(kept, at::kLong);
  rows.source = at::tensor(source, at::kLong);
  rows.anchor = at::tensor(anchor, at::kLong);
  return rows;
}

TEST(GatherAndMerge, EqualsTheBruteForceMeanAndSum) {
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
    const auto weights = [](const std::vector<double>& v) {
      return at::tensor(v, at::kDouble).to(at::kFloat);
    };

    for (const bool mean : {true, false}) {
      // Sums of dozens of entries are larger than their means, and so is their rounding.
      const double limit = mean ? 1e-6 : 2e-5;
      MergeRows rows = rows_of(kept, source, anchor);
      rows.mean = mean;
      EXPECT_LT(max_difference(gather_and_merge(x, rows),
                               brute_force(x, kept, source, anchor, ones_s, ones_a, mean)),
                limit);
      rows.source_weight = weights(source_weight);
      rows.anchor_weight = weights(anchor_weight);
      EXPECT_LT(
          max_difference(gather_and_merge(x, rows),
                         brute_force(x, kept, source, anchor, source_weight, anchor_weight, mean)),
          limit);
    }
  }
}

TEST(GatherAndMerge, AnchorsWithoutSourcesKeepTheirBits) {
  const at::Tensor x = random_tensor({2, 6, 8}, 1).to(at::kBFloat16);
  for (const bool mean : {true, false}) {
    MergeRows rows = rows_of({0, 2, 5}, {1}, {0});
    rows.mean = mean;
    const at::Tensor merged = gather_and_merge(x, rows);
    EXPECT_TRUE(merged.select(1, 1).equal(x.select(1, 2)));
    EXPECT_TRUE(merged.select(1, 2).equal(x.select(1, 5)));
    EXPECT_FALSE(merged.select(1, 0).equal(x.select(1, 0)));
  }
}

TEST(GatherAndMerge, AMeanForgetsTheWeightOfAnAnchorAloneAndASumDoesNot) {
  const at::Tensor x = random_tensor({2, 4, 8}, 1);
  MergeRows rows = rows_of({0, 2}, {}, {});
  rows.anchor_weight = at::tensor({0.5, 0.25}, at::kFloat);
  EXPECT_TRUE(gather_and_merge(x, rows).select(1, 1).equal(x.select(1, 2)));
  rows.mean = false;
  EXPECT_TRUE(gather_and_merge(x, rows).select(1, 1).equal(x.select(1, 2) * 0.25));
}

TEST(GatherAndMerge, SourcesAreTurnedToTheirAnchors) {
  const RotaryTable rotary(16, RotaryRule{10000.0}, 64, at::kCPU);
  const at::Tensor raw = random_tensor({2, 5, 16}, 1);
  const at::Tensor x = rotary.rotate(raw, at::tensor({0, 7, 20, 21, 60}, at::kLong));
  MergeRows rows = rows_of({1, 3}, {0, 2, 4}, {0, 0, 1});
  rows.turns = at::tensor({7 - 0, 7 - 20, 21 - 60}, at::kLong);
  rows.rotary = &rotary;
  const at::Tensor merged = gather_and_merge(x, rows);
  // Averaged without rotation, then rotated to the anchor.
  const at::Tensor first = (raw.select(1, 0) + raw.select(1, 1) + raw.select(1, 2)) / 3;
  const at::Tensor second = (raw.select(1, 3) + raw.select(1, 4)) / 2;
  const at::Tensor expected =
      rotary.rotate(at::stack({first, second}, 1), at::tensor({7, 21}, at::kLong));
  EXPECT_LT(max_difference(merged, expected), 1e-5);
  rows.turns = at::Tensor();
  EXPECT_GT(max_difference(gather_and_merge(x, rows), expected), 0.1);
}

TEST(GatherAndMerge, TheKernelsBitsAreTheReferences) {
  const RotaryTable rotary(24, RotaryRule{10000.0}, 64, at::kCPU);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    // A part of a wider storage, as a cache's heads are.
    const at::Tensor x = random_tensor({3, 60, 24}, 1).to(dtype).narrow(1, 5, 50);
    MergeRows rows = rows_of({1, 4, 9, 30, 49}, {7, 0, 7, 48, 2, 31}, {3, 0, 1, 3, 0, 4});
    for (const bool mean : {true, false}) {
      for (const bool weighted : {true, false}) {
        for (const bool turned : {true, false}) {
          rows.mean = mean;
          rows.source_weight = weighted ? random_tensor({6}, 2).abs() : at::Tensor();
          rows.anchor_weight = weighted ? random_tensor({5}, 3).abs() : at::Tensor();
          rows.turns = turned ? at::tensor({5, -7, 0, 63, -63, 1}, at::kLong) : at::Tensor();
          rows.rotary = &rotary;
          EXPECT_TRUE(gather_and_merge(x, rows).equal(reference::gather_and_merge(x, rows)))
              << mean << weighted << turned;
        }
      }
    }
  }
}

TEST(GatherAndMerge, ASourceMayBeItsOwnAnchorAndComeTwice) {
  const at::Tensor x = at::tensor({1.0, 4.0}, at::kFloat).view({1, 2, 1});
  // (1 + 1 + 4 + 4) / 4
  EXPECT_FLOAT_EQ(gather_and_merge(x, rows_of({0}, {0, 1, 1}, {0, 0, 0})).item<float>(), 2.5F);
}

}  // namespace
}  // namespace elastikv
