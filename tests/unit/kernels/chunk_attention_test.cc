#include "kernels/chunk_attention.h"

#include <algorithm>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "support/scattered_entries.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

/// Sequences of random entries with random lives, every token seeing at least its own entry.
struct Chunk {
  Chunk(int64_t row_count, int64_t tokens, int64_t kv_heads, int64_t group, int64_t head_dim,
        bool ragged, bool unrotated, uint64_t seed)
      : rotary(head_dim, RotaryRule{10000.0}, 512, c10::Device(c10::DeviceType::CPU)),
        queries(random_tensor({row_count, tokens, kv_heads * group, head_dim}, seed)),
        starts(static_cast<size_t>(row_count)),
        lengths(starts.size()),
        biases(starts.size()),
        slots(starts.size()) {
    std::mt19937_64 random(seed);
    const auto draw = [&](int64_t from, int64_t to) {
      return std::uniform_int_distribution<int64_t>(from, to)(random);
    };
    for (size_t r = 0; r < starts.size(); ++r) {
      int64_t begin = draw(0, 3);
      const int64_t before = draw(1, 70);
      for (int64_t h = 0; h < kv_heads; ++h) {
        const int64_t length = (ragged ? before + 5 * h : before) + tokens;
        starts[r].push_back(begin);
        lengths[r].push_back(length);
        begin += length + draw(0, 2);
        if (!ragged && h > 0) continue;
        ChunkSlots& set = slots[r].emplace_back();
        auto& bias = biases[r].emplace_back();
        for (int64_t i = 0; i < length; ++i) {
          const auto first = static_cast<int32_t>(std::max<int64_t>(0, i - (length - tokens)));
          set.first.push_back(first);
          set.until.push_back(static_cast<int32_t>(draw(first + 1, tokens)));
          bias.push_back(static_cast<float>(draw(0, 3)));
          if (!unrotated) continue;
          set.key_positions.push_back(draw(0, 511));
          set.keeps_rank.push_back(static_cast<uint8_t>(draw(0, 1)));
        }
        for (int64_t t = 0; unrotated && t < tokens; ++t) {
          set.rank_positions.push_back(draw(0, 511));
          set.query_positions.push_back(draw(0, 511));
        }
      }
      ChunkRow row;
      row.keys = random_tensor({begin, head_dim}, seed + 10 * r + 1);
      row.values = random_tensor({begin, head_dim}, seed + 10 * r + 2);
      row.starts = &starts[r];
      row.lengths = &lengths[r];
      row.slots = &slots[r];
      if (r % 2 == 1) row.logit_bias = &biases[r];
      if (unrotated) row.rotary = &rotary;
      rows.push_back(row);
    }
  }
  RotaryTable rotary;
  at::Tensor queries;
  std::vector<std::vector<int64_t>> starts;
  std::vector<std::vector<int64_t>> lengths;
  std::vector<std::vector<std::vector<float>>> biases;
  std::vector<std::vector<ChunkSlots>> slots;
  std::vector<ChunkRow> rows;
};

class ChunkAttention
    : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t, bool, bool>> {};

INSTANTIATE_TEST_SUITE_P(Sizes, ChunkAttention,
                         testing::Combine(testing::Values(1, 7, 33), testing::Values(1, 3),
                                          testing::Values(8, 64, 80, 128), testing::Bool(),
                                          testing::Bool()));

TEST_P(ChunkAttention, EqualsTheReference) {
  const auto [tokens, group, head_dim, ragged, unrotated] = GetParam();
  Chunk chunk(3, tokens, 2, group, head_dim, ragged, unrotated, 11);
  EXPECT_LT(max_difference(chunk_attention(chunk.queries, chunk.rows, 0.3),
                           reference::chunk_attention(chunk.queries, chunk.rows, 0.3)),
            1e-5);
}

TEST_P(ChunkAttention, FollowsPlaces) {
  const auto [tokens, group, head_dim, ragged, unrotated] = GetParam();
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    Chunk chunk(3, tokens, 2, group, head_dim, ragged, unrotated, 11);
    std::vector<ScatteredEntries> scattered;
    for (ChunkRow& row : chunk.rows) {
      row.keys = row.keys.to(dtype);
      row.values = row.values.to(dtype);
      scattered.emplace_back(row);
    }
    const at::Tensor queries = chunk.queries.to(dtype);
    const at::Tensor expected = chunk_attention(queries, chunk.rows, 0.3);
    const at::Tensor plain = reference::chunk_attention(queries, chunk.rows, 0.3);
    for (size_t r = 0; r < chunk.rows.size(); r += 2) scattered[r].place(chunk.rows[r]);
    EXPECT_TRUE(chunk_attention(queries, chunk.rows, 0.3).equal(expected));
    EXPECT_TRUE(reference::chunk_attention(queries, chunk.rows, 0.3).equal(plain));
  }
}

TEST_P(ChunkAttention, Bf16RoundsOnce) {
  const auto [tokens, group, head_dim, ragged, unrotated] = GetParam();
  Chunk chunk(2, tokens, 2, group, head_dim, ragged, unrotated, 5);
  for (ChunkRow& row : chunk.rows) {
    row.keys = row.keys.to(at::kBFloat16);
    row.values = row.values.to(at::kBFloat16);
  }
  const at::Tensor queries = chunk.queries.to(at::kBFloat16);
  const at::Tensor result = chunk_attention(queries, chunk.rows, 0.3);
  for (ChunkRow& row : chunk.rows) {
    row.keys = row.keys.to(at::kFloat);
    row.values = row.values.to(at::kFloat);
  }
  // Values up to about 4: half a unit in the last place of bf16 there is 0.0079.
  EXPECT_LT(
      max_difference(result, reference::chunk_attention(queries.to(at::kFloat), chunk.rows, 0.3)),
      0.009);
}

}  // namespace
}  // namespace elastikv
