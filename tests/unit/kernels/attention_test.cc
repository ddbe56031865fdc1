#include "kernels/attention.h"

#include <cmath>
#include <tuple>
#include <vector>

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/tensors.h"

namespace elastikv {
namespace {

// fp32 against fp32 in another order of summation: the largest difference seen over this grid was
// 7e-7 for outputs and 3e-5 for column sums of 300 tokens (sums up to 300); the limits leave a
// factor of ten.
constexpr double kOutputLimit = 1e-5;
constexpr double kSumLimit = 3e-4;

class PrefillAttentionGrid
    : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t, int64_t>> {};

TEST_P(PrefillAttentionGrid, EqualsTheEagerMatrix) {
  const auto [tokens, kv_heads, group, head_dim] = GetParam();
  const at::Tensor q = random_tensor({kv_heads * group, tokens, head_dim}, 1) * 2;
  const at::Tensor k = random_tensor({kv_heads, tokens, head_dim}, 2);
  const at::Tensor v = random_tensor({kv_heads, tokens, head_dim}, 3);
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  const PrefillAttention fast = prefill_attention(q, k, v, scale, /*column_sums=*/true);
  const PrefillAttention eager = reference::prefill_attention(q, k, v, scale, /*column_sums=*/true);
  EXPECT_LT(max_difference(fast.output, eager.output), kOutputLimit);
  EXPECT_LT(max_difference(fast.column_sums, eager.column_sums), kSumLimit);
  // Every query spreads a weight of one, so a head's column sums add up to the number of queries.
  EXPECT_NEAR(fast.column_sums.sum().item<double>(), static_cast<double>(kv_heads * group * tokens),
              1e-4 * static_cast<double>(tokens * kv_heads * group));
}

// Around the block of 128 queries: shorter, equal, one more, several blocks.
INSTANTIATE_TEST_SUITE_P(Sizes, PrefillAttentionGrid,
                         testing::Combine(testing::Values(1, 2, 127, 128, 129, 300),
                                          testing::Values(1, 3), testing::Values(1, 3),
                                          testing::Values(16, 64)));

TEST(PrefillAttention, ColumnSumsAreOnlyComputedWhenAskedFor) {
  const at::Tensor x = random_tensor({2, 5, 8}, 1);
  EXPECT_FALSE(prefill_attention(x, x, x, 1.0, /*column_sums=*/false).column_sums.defined());
}

TEST(PrefillAttention, Bf16ColumnSumsStayNearFp32) {
  const at::Tensor q = random_tensor({4, 200, 64}, 1);
  const at::Tensor k = random_tensor({2, 200, 64}, 2);
  const at::Tensor v = random_tensor({2, 200, 64}, 3);
  const auto half = [](const at::Tensor& x) { return x.to(at::kBFloat16); };
  const at::Tensor sums = prefill_attention(half(q), half(k), half(v), 0.125, true).column_sums;
  // The same rounded inputs in fp32: only the attention's own log-sum-exp differs. Seen: 0.02 of
  // sums up to 20.
  const at::Tensor expected =
      reference::prefill_attention(half(q).to(at::kFloat), half(k).to(at::kFloat),
                                   half(v).to(at::kFloat), 0.125, true)
          .column_sums;
  EXPECT_LT(max_difference(sums, expected), 0.1);
}

struct Ragged {
  std::vector<std::vector<int64_t>> lengths;
  std::vector<DecodeRow> rows;
};

/// Rows of different lengths and capacities; the last row has KV heads of different lengths.
Ragged ragged_rows(int64_t kv_heads, int64_t head_dim, c10::ScalarType dtype) {
  Ragged ragged;
  const std::vector<int64_t> lengths{1, 7, 64, 181};
  ragged.lengths.reserve(lengths.size() + 1);
  for (const int64_t length : lengths)
    ragged.lengths.emplace_back(static_cast<size_t>(kv_heads), length);
  ragged.lengths.emplace_back();
  for (int64_t h = 0; h < kv_heads; ++h) ragged.lengths.back().push_back(3 + 5 * h);
  for (size_t r = 0; r < ragged.lengths.size(); ++r) {
    DecodeRow row;
    // Room for more than is used, and not the same for keys and values.
    row.keys = random_tensor({kv_heads, 190 + static_cast<int64_t>(r), head_dim}, 10 + r).to(dtype);
    row.values = random_tensor({kv_heads, 200, head_dim}, 50 + r).to(dtype);
    row.lengths = &ragged.lengths[r];
    row.weights = r % 2 == 0;
    ragged.rows.push_back(row);
  }
  return ragged;
}

class DecodeAttentionGrid
    : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t, c10::ScalarType>> {};

TEST_P(DecodeAttentionGrid, EqualsTheReference) {
  const auto [kv_heads, group, head_dim, dtype] = GetParam();
  const Ragged ragged = ragged_rows(kv_heads, head_dim, dtype);
  const at::Tensor q =
      random_tensor({static_cast<int64_t>(ragged.rows.size()), kv_heads * group, head_dim}, 5)
          .to(dtype);
  const DecodeAttention fast = decode_attention(q, ragged.rows, 0.2);
  const DecodeAttention plain = reference::decode_attention(q, ragged.rows, 0.2);
  // bf16 outputs are rounded once on both sides: half a unit in the last place of values up to 4.
  const double limit = dtype == at::kFloat ? kOutputLimit : 0.02;
  EXPECT_LT(max_difference(fast.output, plain.output), limit);
  for (size_t r = 0; r < ragged.rows.size(); ++r) {
    ASSERT_EQ(fast.weights[r].defined(), ragged.rows[r].weights);
    if (!ragged.rows[r].weights) continue;
    EXPECT_LT(max_difference(fast.weights[r], plain.weights[r]), 1e-5) << "row " << r;
    EXPECT_NEAR(fast.weights[r].sum().item<double>(), static_cast<double>(kv_heads * group), 1e-3);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, DecodeAttentionGrid,
                         testing::Combine(testing::Values(1, 3), testing::Values(1, 3),
                                          testing::Values(20, 64),
                                          testing::Values(at::kFloat, at::kBFloat16)));

TEST(DecodeAttention, TurnsUnrotatedKeysBackByTheirDistances) {
  // Against keys that were rotated beforehand: slot i stands distances[i] before the query, so with
  // the query at position 300 it is at 300 - distances[i].
  const RotaryTable rotary(64, 10000.0, 512, at::kCPU);
  const std::vector<int64_t> lengths{40, 40, 40};
  std::vector<int64_t> distances(40);
  for (size_t i = 0; i < distances.size(); ++i) distances[i] = static_cast<int64_t>((i * 17) % 40);
  const at::Tensor positions = 300 - at::tensor(distances, at::kLong);
  const at::Tensor raw_keys = random_tensor({3, 40, 64}, 1);
  const at::Tensor raw_query = random_tensor({1, 9, 64}, 2);
  DecodeRow rotated;
  rotated.keys = rotary.rotate(raw_keys, positions).contiguous();
  rotated.values = random_tensor({3, 40, 64}, 3);
  rotated.lengths = &lengths;
  rotated.weights = true;
  const at::Tensor query =
      RotaryTable::rotate_rows(raw_query, rotary.angles(at::tensor({300}, at::kLong), at::kFloat));
  const DecodeAttention expected = reference::decode_attention(query, {rotated}, 0.125);

  DecodeRow turned = rotated;
  turned.keys = raw_keys;
  turned.rotary = &rotary;
  for (const size_t groups : {1U, 3U}) {
    turned.distances.assign(groups, distances);
    for (const DecodeAttention& result :
         {decode_attention(raw_query, {turned}, 0.125),
          reference::decode_attention(raw_query, {turned}, 0.125)}) {
      EXPECT_LT(max_difference(result.output, expected.output), kOutputLimit)
          << groups << " groups";
      EXPECT_LT(max_difference(result.weights[0], expected.weights[0]), 1e-5)
          << groups << " groups";
    }
  }
}

TEST(DecodeAttention, ARowDoesNotDependOnTheOthers) {
  const Ragged ragged = ragged_rows(3, 64, at::kFloat);
  const at::Tensor q = random_tensor({static_cast<int64_t>(ragged.rows.size()), 9, 64}, 5);
  const at::Tensor together = decode_attention(q, ragged.rows, 0.125).output;
  for (int64_t r = 0; r < q.size(0); ++r) {
    const at::Tensor alone =
        decode_attention(q.narrow(0, r, 1), {ragged.rows[static_cast<size_t>(r)]}, 0.125).output;
    EXPECT_TRUE(alone[0].equal(together[r])) << "row " << r;
  }
}

}  // namespace
}  // namespace elastikv
