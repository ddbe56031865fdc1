#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <tuple>
#include <vector>

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/scattered_entries.h"
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

/// Everything that can be asked for; `last_rows` more than one block of queries.
PrefillRequest everything() {
  PrefillRequest request;
  request.column_sums = true;
  request.column_max = true;
  request.row_entropy = true;
  request.decays = {0.0, 0.5, 0.98};
  request.last_rows = 140;
  return request;
}

/// The moving averages are sums with weights in another order than the recurrence, of values below
/// 1; the entropy is a sum of up to 300 terms. The largest seen over this grid were 1e-6 and 2e-6.
constexpr double kAverageLimit = 1e-5;
constexpr double kEntropyLimit = 3e-5;

void expect_equal(const PrefillStatistics& a, const PrefillStatistics& b, double factor = 1) {
  EXPECT_LT(max_difference(a.column_sums, b.column_sums), factor * kSumLimit);
  EXPECT_LT(max_difference(a.column_max, b.column_max), factor * kOutputLimit);
  EXPECT_LT(max_difference(a.row_entropy, b.row_entropy), factor * kEntropyLimit);
  EXPECT_LT(max_difference(a.last_rows, b.last_rows), factor * kOutputLimit);
  ASSERT_EQ(a.moving_averages.size(), b.moving_averages.size());
  for (const auto& [decay, average] : a.moving_averages) {
    EXPECT_LT(max_difference(average, b.moving_averages.at(decay)), factor * kAverageLimit)
        << "decay " << decay;
  }
}

TEST_P(PrefillAttentionGrid, EqualsTheEagerMatrix) {
  const auto [tokens, kv_heads, group, head_dim] = GetParam();
  const at::Tensor q = random_tensor({kv_heads * group, tokens, head_dim}, 1) * 2;
  const at::Tensor k = random_tensor({kv_heads, tokens, head_dim}, 2);
  const at::Tensor v = random_tensor({kv_heads, tokens, head_dim}, 3);
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  const PrefillAttention fast = prefill_attention(q, k, v, scale, everything());
  const PrefillAttention eager = reference::prefill_attention(q, k, v, scale, everything());
  EXPECT_LT(max_difference(fast.output, eager.output), kOutputLimit);
  expect_equal(fast.statistics, eager.statistics);
  const PrefillStatistics& statistics = fast.statistics;
  // Every query spreads a weight of one, so a head's column sums add up to the number of queries.
  EXPECT_NEAR(statistics.column_sums.sum().item<double>(),
              static_cast<double>(kv_heads * group * tokens),
              1e-4 * static_cast<double>(tokens * kv_heads * group));
  // Rows of queries end at the diagonal.
  const int64_t rows = std::min<int64_t>(140, tokens);
  ASSERT_EQ(statistics.last_rows.sizes(), at::IntArrayRef({kv_heads * group, rows, tokens}));
  EXPECT_EQ(statistics.last_rows.triu(tokens - rows + 1).abs().sum().item<double>(), 0.0);
  EXPECT_LT(max_difference(statistics.last_rows.sum(-1), at::ones({kv_heads * group, rows})), 1e-5);
  // A decay of 0 leaves the last query alone.
  EXPECT_LT(
      max_difference(statistics.moving_averages.at(0.0), statistics.last_rows.select(1, rows - 1)),
      2e-6);
}

TEST_P(PrefillAttentionGrid, LastRowsAloneAreTheSame) {
  const auto [tokens, kv_heads, group, head_dim] = GetParam();
  const at::Tensor q = random_tensor({kv_heads * group, tokens, head_dim}, 1) * 2;
  const at::Tensor k = random_tensor({kv_heads, tokens, head_dim}, 2);
  for (const int64_t rows : {1, 32, 128, 130}) {
    PrefillRequest request;
    request.last_rows = rows;
    const PrefillAttention fast = prefill_attention(q, k, k, 0.2, request);
    const PrefillAttention eager = reference::prefill_attention(q, k, k, 0.2, request);
    EXPECT_LT(max_difference(fast.statistics.last_rows, eager.statistics.last_rows), kOutputLimit)
        << rows << " rows";
    EXPECT_FALSE(fast.statistics.column_sums.defined());
  }
}

// Around the block of 128 queries: shorter, equal, one more, several blocks.
INSTANTIATE_TEST_SUITE_P(Sizes, PrefillAttentionGrid,
                         testing::Combine(testing::Values(1, 2, 127, 128, 129, 300),
                                          testing::Values(1, 3), testing::Values(1, 3),
                                          testing::Values(16, 64)));

TEST(PrefillAttention, StatisticsOfAMatrixWrittenOut) {
  // One head of dimension 1: keys 0, ln 2, ln 4 and queries 1, so that the rows of A are (1),
  // (1, 2) / 3 and (1, 2, 4) / 7.
  const at::Tensor q = at::ones({1, 3, 1});
  const at::Tensor k = at::tensor({0.0, std::log(2.0), std::log(4.0)}, at::kFloat).view({1, 3, 1});
  PrefillRequest request = everything();
  request.decays = {0.5};
  request.last_rows = 2;
  const auto row = [](std::initializer_list<double> values) {
    return at::tensor(std::vector<double>(values), at::kDouble).to(at::kFloat).unsqueeze(0);
  };
  for (const PrefillStatistics& statistics :
       {prefill_attention(q, k, k, 1.0, request).statistics,
        reference::prefill_attention(q, k, k, 1.0, request).statistics}) {
    EXPECT_LT(max_difference(statistics.column_sums,
                             row({1 + 1.0 / 3 + 1.0 / 7, 2.0 / 3 + 2.0 / 7, 4.0 / 7})),
              1e-6);
    EXPECT_LT(max_difference(statistics.column_max, row({1, 2.0 / 3, 4.0 / 7})), 1e-6);
    EXPECT_LT(max_difference(statistics.row_entropy,
                             row({0, std::log(3.0) - std::log(2.0) * 2 / 3,
                                  std::log(7.0) - std::log(2.0) * 2 / 7 - std::log(4.0) * 4 / 7})),
              1e-6);
    EXPECT_LT(max_difference(statistics.last_rows[0], at::cat({row({1.0 / 3, 2.0 / 3, 0}),
                                                               row({1.0 / 7, 2.0 / 7, 4.0 / 7})})),
              1e-6);
    // Half of the last row, a quarter of the one before, an eighth of the first.
    EXPECT_LT(max_difference(statistics.moving_averages.at(0.5),
                             row({1.0 / 14 + 1.0 / 12 + 1.0 / 8, 1.0 / 7 + 1.0 / 6, 2.0 / 7})),
              1e-6);
  }
}

TEST(PrefillAttention, AttentionThatUnderflowsHasNoEntropy) {
  // The second query's attention to the first key is exp(-400): 0 in fp32, and 0 * log 0 is 0.
  const at::Tensor q = at::ones({1, 2, 1}) * 20;
  const at::Tensor k = at::tensor({0.0, 20.0}, at::kFloat).view({1, 2, 1});
  for (const PrefillStatistics& statistics :
       {prefill_attention(q, k, k, 1.0, everything()).statistics,
        reference::prefill_attention(q, k, k, 1.0, everything()).statistics}) {
    EXPECT_EQ(statistics.row_entropy.abs().max().item<double>(), 0.0);
    EXPECT_EQ(statistics.column_max[0][1].item<double>(), 1.0);
  }
}

TEST(PrefillAttention, NothingIsComputedUnlessAskedFor) {
  const at::Tensor x = random_tensor({2, 5, 8}, 1);
  const PrefillAttention plain = prefill_attention(x, x, x, 1.0, PrefillRequest());
  EXPECT_EQ(plain.statistics_seconds.value(), 0.0);
  EXPECT_FALSE(plain.statistics.column_sums.defined());
  EXPECT_FALSE(plain.statistics.column_max.defined());
  EXPECT_FALSE(plain.statistics.row_entropy.defined());
  EXPECT_FALSE(plain.statistics.last_rows.defined());
  EXPECT_TRUE(plain.statistics.moving_averages.empty());
}

TEST(PrefillAttention, Bf16StatisticsStayNearFp32) {
  const at::Tensor q = random_tensor({4, 200, 64}, 1);
  const at::Tensor k = random_tensor({2, 200, 64}, 2);
  const at::Tensor v = random_tensor({2, 200, 64}, 3);
  const auto half = [](const at::Tensor& x) { return x.to(at::kBFloat16); };
  const PrefillStatistics statistics =
      prefill_attention(half(q), half(k), half(v), 0.125, everything()).statistics;
  // The same rounded inputs in fp32: only the attention's own log-sum-exp differs. Seen: 1.4e-4 of
  // column sums, 5e-5 of their largest terms, 7e-5 of entropies.
  const PrefillStatistics expected =
      reference::prefill_attention(half(q).to(at::kFloat), half(k).to(at::kFloat),
                                   half(v).to(at::kFloat), 0.125, everything())
          .statistics;
  expect_equal(statistics, expected, /*factor=*/50);
}

TEST(QueryMoments, EqualTheDefinition) {
  const at::Tensor queries = random_tensor({3, 40, 6}, 1) * 2 + 1;
  for (const int64_t skip : {0, 4, 39, 40, 100}) {
    // Where no token would be left, all are taken.
    const int64_t first = skip >= 40 ? 0 : skip;
    const QueryMoments moments = query_moments(queries, skip);
    ASSERT_EQ(moments.covariance.sizes(), at::IntArrayRef({3, 6, 6}));
    const auto* q = queries.const_data_ptr<float>();
    const auto at_token = [&](int64_t h, int64_t t, int64_t d) {
      return static_cast<double>(q[(h * 40 + t) * 6 + d]);
    };
    const auto count = static_cast<double>(40 - first);
    for (int64_t h = 0; h < 3; ++h) {
      std::vector<double> mean(6, 0.0);
      for (int64_t d = 0; d < 6; ++d) {
        for (int64_t t = first; t < 40; ++t) mean[static_cast<size_t>(d)] += at_token(h, t, d);
        mean[static_cast<size_t>(d)] /= count;
        EXPECT_NEAR(moments.mean[h][d].item<double>(), mean[static_cast<size_t>(d)], 1e-5);
      }
      for (int64_t a = 0; a < 6; ++a) {
        for (int64_t b = 0; b < 6; ++b) {
          double sum = 0;
          for (int64_t t = first; t < 40; ++t) {
            sum += (at_token(h, t, a) - mean[static_cast<size_t>(a)]) *
                   (at_token(h, t, b) - mean[static_cast<size_t>(b)]);
          }
          EXPECT_NEAR(moments.covariance[h][a][b].item<double>(), sum / count, 1e-4)
              << "skip " << skip << ", " << h << " " << a << " " << b;
        }
      }
    }
  }
}

struct Ragged {
  std::vector<std::vector<int64_t>> lengths;
  std::vector<std::vector<int64_t>> starts;
  std::vector<std::vector<std::vector<float>>> biases;
  std::vector<DecodeRow> rows;
};

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Rows of different lengths; the last two have KV heads of different lengths, in ranges of their
/// own, in no order. Room that holds no entry is NaN: reading it would show. Every other row has
/// biases, shared by the heads or not.
Ragged ragged_rows(int64_t kv_heads, int64_t head_dim, c10::ScalarType dtype) {
  Ragged ragged;
  const std::vector<int64_t> lengths{1, 7, 64, 181};
  for (const int64_t length : lengths)
    ragged.lengths.emplace_back(static_cast<size_t>(kv_heads), length);
  for (const int64_t growth : {5, 40}) {
    ragged.lengths.emplace_back();
    for (int64_t h = 0; h < kv_heads; ++h) ragged.lengths.back().push_back(3 + growth * h);
  }
  const size_t count = ragged.lengths.size();
  ragged.biases.resize(count);
  for (size_t r = 0; r < count; ++r) {
    const bool uniform = r < lengths.size();
    std::vector<int64_t>& starts = ragged.starts.emplace_back(static_cast<size_t>(kv_heads));
    int64_t slots = 2;
    for (int64_t h = 0; h < kv_heads; ++h) {
      // Ragged heads lie in the storage from the last to the first.
      const auto head = static_cast<size_t>(uniform ? h : kv_heads - 1 - h);
      starts[head] = slots;
      slots += ragged.lengths[r][head] + 3;
    }
    DecodeRow row;
    row.keys = at::full({slots, head_dim}, kNan);
    row.values = at::full({slots, head_dim}, kNan);
    for (size_t h = 0; h < starts.size(); ++h) {
      const int64_t length = ragged.lengths[r][h];
      row.keys.narrow(0, starts[h], length)
          .copy_(random_tensor({length, head_dim}, 10 + 100 * r + h));
      row.values.narrow(0, starts[h], length)
          .copy_(random_tensor({length, head_dim}, 50 + 100 * r + h));
    }
    row.keys = row.keys.to(dtype);
    row.values = row.values.to(dtype);
    row.weights = r % 2 == 0;
    if (r % 2 == 1) {
      const size_t groups = uniform ? 1 : static_cast<size_t>(kv_heads);
      for (size_t g = 0; g < groups; ++g) {
        const at::Tensor bias = random_tensor({ragged.lengths[r][g]}, 90 + r + g);
        const auto* values = bias.const_data_ptr<float>();
        ragged.biases[r].emplace_back(values, values + bias.numel());
      }
    }
    ragged.rows.push_back(row);
  }
  for (size_t r = 0; r < count; ++r) {
    ragged.rows[r].starts = &ragged.starts[r];
    ragged.rows[r].lengths = &ragged.lengths[r];
    if (!ragged.biases[r].empty()) ragged.rows[r].logit_bias = &ragged.biases[r];
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

TEST_P(DecodeAttentionGrid, FollowsPlaces) {
  const auto [kv_heads, group, head_dim, dtype] = GetParam();
  const Ragged ragged = ragged_rows(kv_heads, head_dim, dtype);
  const at::Tensor q =
      random_tensor({static_cast<int64_t>(ragged.rows.size()), kv_heads * group, head_dim}, 5)
          .to(dtype);
  std::vector<DecodeRow> rows = ragged.rows;
  std::vector<ScatteredEntries> scattered;
  for (const DecodeRow& row : rows) scattered.emplace_back(row);
  for (size_t r = 0; r < rows.size(); ++r) {
    if (r != 1) scattered[r].place(rows[r]);
  }
  for (const auto attend : {decode_attention, reference::decode_attention}) {
    const DecodeAttention expected = attend(q, ragged.rows, 0.2);
    const DecodeAttention found = attend(q, rows, 0.2);
    EXPECT_TRUE(found.output.equal(expected.output));
    for (size_t r = 0; r < rows.size(); ++r) {
      if (!rows[r].weights) continue;
      EXPECT_TRUE(found.weights[r].equal(expected.weights[r])) << "row " << r;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, DecodeAttentionGrid,
                         testing::Combine(testing::Values(1, 3), testing::Values(1, 3, 4),
                                          testing::Values(20, 64, 80, 128),
                                          testing::Values(at::kFloat, at::kBFloat16)));

/// One query head's attention written out in double: weights and output.
struct WrittenOut {
  std::vector<double> weights;
  std::vector<double> output;
};

WrittenOut written_out(const at::Tensor& query, const DecodeRow& row, size_t head, double scale) {
  const int64_t length = (*row.lengths)[head];
  const int64_t start = (*row.starts)[head];
  const auto entry = [&](const at::Tensor& storage, int64_t i) {
    return storage[start + i].to(at::kDouble);
  };
  WrittenOut result;
  double total = 0;
  for (int64_t i = 0; i < length; ++i) {
    double logit = scale * (query.to(at::kDouble) * entry(row.keys, i)).sum().item<double>();
    if (row.logit_bias != nullptr) {
      const auto& biases = (*row.logit_bias)[row.logit_bias->size() == 1 ? 0 : head];
      logit += static_cast<double>(biases[static_cast<size_t>(i)]);
    }
    result.weights.push_back(std::exp(logit));
    total += result.weights.back();
  }
  at::Tensor output = at::zeros({query.size(0)}, at::kDouble);
  for (int64_t i = 0; i < length; ++i) {
    result.weights[static_cast<size_t>(i)] /= total;
    output += entry(row.values, i) * result.weights[static_cast<size_t>(i)];
  }
  const auto* values = output.const_data_ptr<double>();
  result.output.assign(values, values + output.numel());
  return result;
}

TEST(DecodeAttention, EqualsTheFormulaWrittenOut) {
  constexpr int64_t kKvHeads = 2;
  constexpr int64_t kGroup = 3;
  Ragged ragged = ragged_rows(kKvHeads, 8, at::kFloat);
  for (DecodeRow& row : ragged.rows) row.weights = true;
  const at::Tensor q =
      random_tensor({static_cast<int64_t>(ragged.rows.size()), kKvHeads * kGroup, 8}, 5);
  for (const DecodeAttention& result :
       {decode_attention(q, ragged.rows, 0.3), reference::decode_attention(q, ragged.rows, 0.3)}) {
    for (int64_t r = 0; r < q.size(0); ++r) {
      const auto row = static_cast<size_t>(r);
      for (int64_t h = 0; h < q.size(1); ++h) {
        const WrittenOut expected =
            written_out(q[r][h], ragged.rows[row], static_cast<size_t>(h / kGroup), 0.3);
        for (size_t d = 0; d < expected.output.size(); ++d) {
          EXPECT_NEAR(result.output[r][h][static_cast<int64_t>(d)].item<double>(),
                      expected.output[d], 1e-5);
        }
        const at::Tensor& weights = result.weights[row];
        for (int64_t i = 0; i < weights.size(1); ++i) {
          const auto slot = static_cast<size_t>(i);
          EXPECT_NEAR(weights[h][i].item<double>(),
                      slot < expected.weights.size() ? expected.weights[slot] : 0.0, 1e-6);
        }
      }
    }
  }
}

TEST(DecodeAttention, TheLogOfANumberCountsAnEntryThatOften) {
  // A slot with a bias of ln 3 is as good as three equal slots without.
  const at::Tensor entries = random_tensor({4, 16}, 1);
  const at::Tensor values = random_tensor({4, 16}, 2);
  const at::Tensor slots = at::tensor({0, 1, 1, 1, 2, 3}, at::kLong);
  const std::vector<int64_t> starts{0};
  const std::vector<int64_t> few{4};
  const std::vector<int64_t> many{6};
  const std::vector<std::vector<float>> bias{{0.0F, std::log(3.0F), 0.0F, 0.0F}};
  DecodeRow biased;
  biased.keys = entries;
  biased.values = values;
  biased.starts = &starts;
  biased.lengths = &few;
  biased.logit_bias = &bias;
  DecodeRow repeated = biased;
  repeated.keys = entries.index_select(0, slots);
  repeated.values = values.index_select(0, slots);
  repeated.lengths = &many;
  repeated.logit_bias = nullptr;
  const at::Tensor q = random_tensor({1, 2, 16}, 3);
  const at::Tensor expected = decode_attention(q, {repeated}, 0.25).output;
  EXPECT_LT(max_difference(decode_attention(q, {biased}, 0.25).output, expected), kOutputLimit);
  EXPECT_LT(max_difference(reference::decode_attention(q, {biased}, 0.25).output, expected),
            kOutputLimit);
}

class DecodeAttentionOfHeads : public testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, DecodeAttentionOfHeads, testing::Values(20, 64, 80, 128));

TEST_P(DecodeAttentionOfHeads, TurnsUnrotatedKeysBackByTheirDistances) {
  const int64_t head_dim = GetParam();
  // Against keys that were rotated beforehand: slot i stands distances[i] before the query, so with
  // the query at position 300 it is at 300 - distances[i].
  const RotaryTable rotary(head_dim, RotaryRule{10000.0}, 512, at::kCPU);
  const std::vector<int64_t> starts{0, 40, 80};
  const std::vector<int64_t> lengths{40, 40, 40};
  std::vector<int64_t> distances(40);
  for (size_t i = 0; i < distances.size(); ++i) distances[i] = static_cast<int64_t>((i * 17) % 40);
  const at::Tensor positions = 300 - at::tensor(distances, at::kLong);
  const at::Tensor raw_keys = random_tensor({3, 40, head_dim}, 1);
  const at::Tensor raw_query = random_tensor({1, 9, head_dim}, 2);
  DecodeRow rotated;
  rotated.keys = rotary.rotate(raw_keys, positions).contiguous().view({120, head_dim});
  rotated.values = random_tensor({120, head_dim}, 3);
  rotated.starts = &starts;
  rotated.lengths = &lengths;
  rotated.weights = true;
  const at::Tensor query =
      RotaryTable::rotate_rows(raw_query, rotary.angles(at::tensor({300}, at::kLong), at::kFloat));
  const DecodeAttention expected = reference::decode_attention(query, {rotated}, 0.125);

  DecodeRow turned = rotated;
  turned.keys = raw_keys.view({120, head_dim});
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

TEST_P(DecodeAttentionOfHeads, ARowDoesNotDependOnTheOthers) {
  const int64_t head_dim = GetParam();
  const Ragged ragged = ragged_rows(3, head_dim, at::kFloat);
  const at::Tensor q = random_tensor({static_cast<int64_t>(ragged.rows.size()), 9, head_dim}, 5);
  const at::Tensor together = decode_attention(q, ragged.rows, 0.125).output;
  for (int64_t r = 0; r < q.size(0); ++r) {
    const at::Tensor alone =
        decode_attention(q.narrow(0, r, 1), {ragged.rows[static_cast<size_t>(r)]}, 0.125).output;
    EXPECT_TRUE(alone[0].equal(together[r])) << "row " << r;
  }
}

}  // namespace
}  // namespace elastikv
