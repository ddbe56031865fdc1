// The CUDA kernels of the prefill's statistics and of merging against the plain references.
#include "kernels.h"

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/merge.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

// Column sums -------------------------------------------------------------------------------------

// The log-sum-exp handed over is exact, so what is left is the order of fp32 sums of up to 700
// attentions; the limits are those of the CPU's second pass.
constexpr double kSumLimit = 3e-4;
constexpr double kWeightLimit = 1e-5;

struct Prompt {
  at::Tensor queries;
  at::Tensor keys;
  double scale;
  at::Tensor lse;   // f32 [query_heads, tokens]
  at::Tensor sums;  // from the whole matrix, in double
  at::Tensor maxima;
};

/// Queries and keys in `dtype`, and what the definition makes of these rounded values.
Prompt prompt_of(int64_t tokens, int64_t kv_heads, int64_t group, int64_t head_dim,
                 c10::ScalarType dtype) {
  Prompt prompt;
  prompt.queries = (random_tensor({kv_heads * group, tokens, head_dim}, 1) * 2).to(dtype);
  prompt.keys = random_tensor({kv_heads, tokens, head_dim}, 2).to(dtype);
  prompt.scale = 1 / std::sqrt(static_cast<double>(head_dim));
  const at::Tensor future = at::ones({tokens, tokens}, at::kBool).triu(1);
  const at::Tensor logits =
      (at::matmul(prompt.queries.to(at::kDouble),
                  prompt.keys.to(at::kDouble).repeat_interleave(group, 0).transpose(1, 2)) *
       prompt.scale)
          .masked_fill(future, -std::numeric_limits<double>::infinity());
  const at::Tensor lse = at::logsumexp(logits, {-1});
  const at::Tensor attention = (logits - lse.unsqueeze(-1)).exp();
  prompt.lse = lse.to(at::kFloat);
  prompt.sums = attention.sum(1);
  prompt.maxima = attention.amax(1);
  return prompt;
}

/// Tokens, and query heads of each KV head.
class ColumnSums : public testing::TestWithParam<std::tuple<int64_t, int64_t>> {
 protected:
  void SetUp() override { skip_without_gpu(); }

  static void expect_equal(int64_t head_dim, c10::ScalarType dtype) {
    const auto [tokens, group] = GetParam();
    const int64_t kv_heads = group == 1 ? 2 : 1;
    SCOPED_TRACE(fmt::format("head_dim {}, {}", head_dim, c10::toString(dtype)));
    const Prompt prompt = prompt_of(tokens, kv_heads, group, head_dim, dtype);
    const auto columns = [&](bool maxima) {
      return cuda::column_sums(on_device(prompt.queries), on_device(prompt.keys),
                               on_device(prompt.lse), prompt.scale, maxima);
    };
    at::Tensor maxima;
    const at::Tensor sums = computed_twice([&] {
      const cuda::ColumnStatistics both = columns(/*maxima=*/true);
      maxima = both.maxima;
      return both.sums;
    });
    EXPECT_EQ(sums.device().type(), kDevice.type());
    EXPECT_LT(max_difference(sums.cpu(), prompt.sums), kSumLimit);
    EXPECT_LT(max_difference(maxima.cpu(), prompt.maxima), kWeightLimit);
    const cuda::ColumnStatistics alone = columns(/*maxima=*/false);
    EXPECT_TRUE(alone.sums.equal(sums));
    EXPECT_FALSE(alone.maxima.defined());
  }
};

TEST_P(ColumnSums, EqualTheWholeMatrix) {
  // 40 dimensions are none that tensor cores divide.
  for (const int64_t head_dim : {40, 64, 128}) expect_equal(head_dim, at::kFloat);
  for (const int64_t head_dim : {64, 80, 128}) expect_equal(head_dim, at::kHalf);
  for (const int64_t head_dim : {40, 64, 96, 128}) expect_equal(head_dim, at::kBFloat16);
}

// Around the tiles of 64 keys and 128 queries; query heads that share keys in threes and sevens.
INSTANTIATE_TEST_SUITE_P(Sizes, ColumnSums,
                         testing::Combine(testing::Values(1, 7, 64, 65, 200),
                                          testing::Values(1, 3, 7)));

class LongColumnSums : public ColumnSums {};

TEST_P(LongColumnSums, EqualTheWholeMatrix) {
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) expect_equal(64, dtype);
}

// Queries go in two splits from 513 tokens on, in three from 1,025.
INSTANTIATE_TEST_SUITE_P(Splits, LongColumnSums,
                         testing::Combine(testing::Values(512, 513, 1100), testing::Values(1)));

TEST_F(CudaKernels, ColumnSumsOfLargeMaskedLogitsAreFinite) {
  // Later keys that would overflow if their exponential were taken: the mask has to come after it.
  const int64_t tokens = 70;
  const at::Tensor queries = at::ones({1, tokens, 64});
  const at::Tensor keys =
      (at::arange(tokens, at::kFloat) / 16).view({1, tokens, 1}).expand({1, tokens, 64});
  // The logit of key n is 4 n; with this in the place of the log-sum-exp, query m pays exp(4 n - 4
  // m).
  const at::Tensor lse = (queries * keys).sum(-1);
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const cuda::ColumnStatistics columns =
        cuda::column_sums(on_device(queries.to(dtype)), on_device(keys.to(dtype)), on_device(lse),
                          /*scale=*/1.0, /*maxima=*/true);
    EXPECT_LT(columns.sums.max().item<double>(), 1 / (1 - std::exp(-4.0)) + kSumLimit);
    EXPECT_LT(max_difference(columns.maxima.cpu(), at::ones({1, tokens})), kSumLimit);
  }
}

// Merging -----------------------------------------------------------------------------------------

/// Sources that join random anchors, in the order of their slots: not sorted by anchor.
MergeRows random_merges(int64_t slots, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int64_t> kept;
  std::vector<int64_t> source;
  std::vector<int64_t> anchor;
  for (int64_t i = 0; i < slots; ++i) (i == 0 || random() % 3 == 0 ? kept : source).push_back(i);
  anchor.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i)
    anchor.push_back(static_cast<int64_t>(random() % kept.size()));
  MergeRows rows;
  rows.kept = at::tensor(kept, at::kLong);
  rows.source = at::tensor(source, at::kLong);
  rows.anchor = at::tensor(anchor, at::kLong);
  return rows;
}

TEST_F(CudaKernels, MergedEntriesAreTheCpusToTheLastBit) {
  const RotaryTable rotary(80, RotaryRule{10000.0}, 512, at::kCPU);
  const RotaryTable device_rotary(80, RotaryRule{10000.0}, 512, kDevice);
  for (const c10::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
    for (const int64_t slots : {1, 3, 20, 181}) {
      // A view with room between heads, as the cache hands out.
      const at::Tensor x = random_tensor({3, slots + 5, 80}, static_cast<uint64_t>(slots))
                               .to(dtype)
                               .narrow(1, 2, slots);
      for (const bool mean : {true, false}) {
        for (const bool weighted : {false, true}) {
          for (const bool turned : {false, true}) {
            MergeRows rows = random_merges(slots, 7);
            rows.mean = mean;
            if (weighted) {
              rows.source_weight = random_tensor(rows.source.sizes(), 3).abs() + 0.1;
              rows.anchor_weight = random_tensor(rows.kept.sizes(), 4).abs() + 0.1;
            }
            MergeRows device_rows = rows;
            if (turned) {
              rows.turns = at::randint(-400, 400, rows.source.sizes(), at::kLong);
              rows.rotary = &rotary;
              device_rows.turns = rows.turns;
              device_rows.rotary = &device_rotary;
            }
            const at::Tensor merged =
                computed_twice([&] { return cuda::gather_and_merge(on_device(x), device_rows); });
            EXPECT_TRUE(merged.cpu().equal(gather_and_merge(x, rows)))
                << c10::toString(dtype) << ", " << slots << " slots, mean " << mean << ", weighted "
                << weighted << ", turned " << turned;
          }
        }
      }
    }
  }
}

TEST_F(CudaKernels, AnchorsAloneKeepTheirBitsAndPlainGathersToo) {
  const at::Tensor x = random_tensor({2, 6, 8}, 1).to(at::kBFloat16);
  MergeRows rows;
  rows.kept = at::tensor(std::vector<int64_t>{5, 0, 2, 2}, at::kLong);
  rows.anchor_weight = at::tensor(std::vector<float>{0.3F, 0.5F, 0.7F, 0.9F}, at::kFloat);
  EXPECT_TRUE(cuda::gather_and_merge(on_device(x), rows).cpu().equal(x.index_select(1, rows.kept)));
  rows.mean = false;
  EXPECT_TRUE(cuda::gather_and_merge(on_device(x), rows).cpu().equal(gather_and_merge(x, rows)));
}

}  // namespace
}  // namespace elastikv
