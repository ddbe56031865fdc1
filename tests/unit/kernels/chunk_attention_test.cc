#include "kernels/chunk_attention.h"

#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "support/random_chunk.h"
#include "support/scattered_entries.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

class ChunkAttention
    : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t, bool, bool>> {};

INSTANTIATE_TEST_SUITE_P(Sizes, ChunkAttention,
                         testing::Combine(testing::Values(1, 7, 33), testing::Values(1, 3),
                                          testing::Values(8, 64, 80, 128), testing::Bool(),
                                          testing::Bool()));

TEST_P(ChunkAttention, EqualsTheReference) {
  const auto [tokens, group, head_dim, ragged, unrotated] = GetParam();
  RandomChunk chunk(3, tokens, 2, group, head_dim, ragged, unrotated, 11);
  EXPECT_LT(max_difference(chunk_attention(chunk.queries, chunk.rows, 0.3),
                           reference::chunk_attention(chunk.queries, chunk.rows, 0.3)),
            1e-5);
}

TEST_P(ChunkAttention, FollowsPlaces) {
  const auto [tokens, group, head_dim, ragged, unrotated] = GetParam();
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    RandomChunk chunk(3, tokens, 2, group, head_dim, ragged, unrotated, 11);
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
  RandomChunk chunk(2, tokens, 2, group, head_dim, ragged, unrotated, 5);
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
