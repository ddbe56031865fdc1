// What the kernels room does with tensors on a GPU, through its own interface, against the CPU.
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "kernels.h"
#include "kernels/attention.h"
#include "kernels/chunk_attention.h"
#include "kernels/merge.h"
#include "support/random_chunk.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

class CudaDispatch : public testing::TestWithParam<c10::ScalarType> {
 protected:
  void SetUp() override { skip_without_gpu(); }
};

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaDispatch,
                         testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

PrefillRequest request_of(bool sums, bool maxima, bool others) {
  PrefillRequest request;
  request.column_sums = sums;
  request.column_max = maxima;
  if (others) {
    request.row_entropy = true;
    request.decays = {0.9};
    request.last_rows = 8;
  }
  return request;
}

TEST_P(CudaDispatch, PrefillAttentionEqualsTheEagerMatrix) {
  const c10::ScalarType dtype = GetParam();
  // Attention's own rounding: outputs of size 1 to one unit in the last place, and for halves a
  // log-sum-exp of products whose probabilities were rounded on the way.
  const double output_limit = dtype == at::kFloat ? 1e-5 : dtype == at::kHalf ? 0.004 : 0.032;
  const double sum_limit = dtype == at::kFloat ? 1e-3 : 5e-2;
  // 20 dimensions have neither flash attention in halves nor tensor cores; 5,000 tokens are eight
  // splits of 640 queries.
  for (const int64_t head_dim : {20, 64, 80, 128}) {
    for (const int64_t tokens : {1, 63, 200, 1100, 5000}) {
      if (tokens > 1100 && head_dim != 64) continue;
      if (tokens > 200 && kEmulated) continue;  // minutes of fibers
      const int64_t heads = tokens > 1100 ? 2 : 6;
      const at::Tensor q = (random_tensor({heads, tokens, head_dim}, 1) * 2).to(dtype);
      const at::Tensor k = random_tensor({2, tokens, head_dim}, 2).to(dtype);
      const at::Tensor v = random_tensor({2, tokens, head_dim}, 3).to(dtype);
      const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
      const bool others = tokens <= 200;
      const PrefillRequest all = request_of(true, true, others);
      const PrefillAttention cpu = reference::prefill_attention(q.to(at::kFloat), k.to(at::kFloat),
                                                                v.to(at::kFloat), scale, all);
      for (const PrefillRequest& request :
           {request_of(true, false, false), request_of(false, true, false),
            request_of(true, true, false), request_of(true, true, others)}) {
        SCOPED_TRACE(fmt::format("head_dim {}, {} tokens, sums {}, maxima {}", head_dim, tokens,
                                 request.column_sums, request.column_max));
        const PrefillAttention gpu =
            prefill_attention(q.to(kDevice), k.to(kDevice), v.to(kDevice), scale, request);
        EXPECT_EQ(gpu.output.scalar_type(), dtype);
        EXPECT_LE(max_difference(gpu.output.cpu(), cpu.output), output_limit);
        const PrefillStatistics& a = gpu.statistics;
        const PrefillStatistics& b = cpu.statistics;
        ASSERT_EQ(a.column_sums.defined(), request.column_sums);
        ASSERT_EQ(a.column_max.defined(), request.column_max);
        if (request.column_sums) {
          EXPECT_LT(max_difference(a.column_sums.cpu(), b.column_sums), sum_limit);
        }
        if (request.column_max) {
          EXPECT_LT(max_difference(a.column_max.cpu(), b.column_max), sum_limit);
        }
        if (request.row_entropy) {
          EXPECT_LT(max_difference(a.row_entropy.cpu(), b.row_entropy), sum_limit);
          EXPECT_LT(max_difference(a.last_rows.cpu(), b.last_rows), sum_limit);
          EXPECT_LT(max_difference(a.moving_averages.at(0.9).cpu(), b.moving_averages.at(0.9)),
                    sum_limit);
        }
      }
    }
  }
}

TEST_P(CudaDispatch, DecodeAttentionOfRowsEqualsTheReference) {
  const c10::ScalarType dtype = GetParam();
  const double limit = dtype == at::kFloat ? 1e-5 : dtype == at::kHalf ? 0.004 : 0.032;
  const std::vector<int64_t> starts{0, 300};
  const std::vector<int64_t> lengths{300, 41};
  for (const int64_t head_dim : {18, 64}) {
    const at::Tensor q = random_tensor({1, 6, head_dim}, 1).to(dtype);
    DecodeRow row;
    row.keys = random_tensor({350, head_dim}, 2).to(dtype);
    row.values = random_tensor({350, head_dim}, 3).to(dtype);
    row.starts = &starts;
    row.lengths = &lengths;
    row.weights = true;
    const DecodeAttention cpu = reference::decode_attention(q, {row}, 0.2);
    row.keys = row.keys.to(kDevice);
    row.values = row.values.to(kDevice);
    const DecodeAttention gpu = decode_attention(q.to(kDevice), {row}, 0.2);
    EXPECT_LE(max_difference(gpu.output.cpu(), cpu.output), limit) << head_dim;
    EXPECT_LT(max_difference(gpu.weights[0].cpu(), cpu.weights[0]), 1e-5) << head_dim;
  }
}

TEST_P(CudaDispatch, ChunkAttentionEqualsTheReferenceWithAndWithoutAKernel) {
  const c10::ScalarType dtype = GetParam();
  const double limit = dtype == at::kFloat ? 1e-5 : dtype == at::kHalf ? 0.005 : 0.04;
  for (const int64_t head_dim : {18, 64}) {
    RandomChunk chunk(2, 5, 2, 3, head_dim, /*ragged=*/true, /*unrotated=*/false, 1);
    chunk.convert(dtype);
    const at::Tensor cpu = reference::chunk_attention(chunk.queries, chunk.rows, 0.2);
    for (ChunkRow& row : chunk.rows) {
      row.keys = row.keys.to(kDevice);
      row.values = row.values.to(kDevice);
    }
    const at::Tensor gpu = chunk_attention(chunk.queries.to(kDevice), chunk.rows, 0.2);
    EXPECT_LE(max_difference(gpu.cpu(), cpu), limit) << head_dim;
  }
}

TEST_P(CudaDispatch, EntriesAreMergedAsOnTheCpu) {
  // Every fifth entry stays, and the four behind it join it.
  std::vector<int64_t> kept;
  std::vector<int64_t> source;
  std::vector<int64_t> anchor;
  for (int64_t slot = 0; slot < 300; ++slot) {
    (slot % 5 == 0 ? kept : source).push_back(slot);
    if (slot % 5 != 0) anchor.push_back(slot / 5);
  }
  const at::Tensor x = random_tensor({2, 300, 64}, 2).to(GetParam());
  MergeRows rows;
  rows.kept = at::tensor(kept, at::kLong);
  rows.source = at::tensor(source, at::kLong);
  rows.anchor = at::tensor(anchor, at::kLong);
  const at::Tensor expected = gather_and_merge(x, rows);
  // From the host, as plans come, and from the device.
  EXPECT_TRUE(gather_and_merge(x.to(kDevice), rows).cpu().equal(expected));
  rows.kept = rows.kept.to(kDevice);
  rows.source = rows.source.to(kDevice);
  rows.anchor = rows.anchor.to(kDevice);
  EXPECT_TRUE(gather_and_merge(x.to(kDevice), rows).cpu().equal(expected));
}

}  // namespace
}  // namespace elastikv
