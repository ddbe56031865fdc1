// The CUDA kernel of decode attention against the plain reference.
#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "kernels.h"
#include "sent_rows.h"
#include "support/scattered_entries.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Batch {
  std::vector<std::vector<int64_t>> lengths;
  std::vector<std::vector<int64_t>> starts;
  std::vector<std::vector<std::vector<float>>> biases;
  std::vector<DecodeRow> rows;  // on the CPU
  at::Tensor queries;

  /// The same rows on the device.
  std::vector<DecodeRow> device_rows(const RotaryTable* rotary) const {
    std::vector<DecodeRow> result = rows;
    for (DecodeRow& row : result) {
      row.keys = on_device(row.keys);
      row.values = on_device(row.values);
      if (row.rotary != nullptr) row.rotary = rotary;
    }
    return result;
  }
};

/// Rows of every length around the splits of 128 slots, heads ragged in the last three of them and
/// in any order in the storage. Room without entries is NaN. Odd rows have biases (one of them
/// hides a whole split), even rows return their weights, every third is turned while it is read.
Batch batch_of(int64_t kv_heads, int64_t group, int64_t head_dim, c10::ScalarType dtype,
               const RotaryTable& rotary) {
  Batch batch;
  for (const int64_t length : {1, 7, 64, 65, 128, 129, 300})
    batch.lengths.emplace_back(static_cast<size_t>(kv_heads), length);
  for (const int64_t growth : {5, 40, 130}) {
    batch.lengths.emplace_back();
    for (int64_t h = 0; h < kv_heads; ++h) batch.lengths.back().push_back(3 + growth * h);
  }
  const size_t count = batch.lengths.size();
  batch.starts.resize(count);
  batch.biases.resize(count);
  batch.rows.resize(count);
  const size_t first_ragged = count - 3;
  for (size_t r = 0; r < count; ++r) {
    const std::vector<int64_t>& lengths = batch.lengths[r];
    const bool ragged = r >= first_ragged;
    std::vector<int64_t>& starts = batch.starts[r];
    starts.resize(lengths.size());
    int64_t slots = 2;
    for (size_t i = 0; i < lengths.size(); ++i) {
      const size_t h = ragged ? lengths.size() - 1 - i : i;
      starts[h] = slots;
      slots += lengths[h] + 3;
    }
    DecodeRow& row = batch.rows[r];
    row.keys = at::full({slots, head_dim}, kNan);
    row.values = at::full({slots, head_dim}, kNan);
    for (size_t h = 0; h < lengths.size(); ++h) {
      row.keys.narrow(0, starts[h], lengths[h])
          .copy_(random_tensor({lengths[h], head_dim}, 10 + 100 * r + h));
      row.values.narrow(0, starts[h], lengths[h])
          .copy_(random_tensor({lengths[h], head_dim}, 50 + 100 * r + h));
    }
    row.keys = row.keys.to(dtype);
    row.values = row.values.to(dtype);
    row.starts = &starts;
    row.lengths = &lengths;
    row.weights = r % 2 == 0;
    const size_t groups = ragged ? lengths.size() : 1;
    for (size_t g = 0; g < groups; ++g) {
      const auto length = static_cast<size_t>(lengths[g]);
      if (r % 2 == 1) {
        const at::Tensor bias = random_tensor({lengths[g]}, 90 + r + g);
        const auto* values = bias.const_data_ptr<float>();
        batch.biases[r].emplace_back(values, values + length);
        if (lengths[g] > 256) {
          std::fill_n(batch.biases[r].back().begin() + 128, 128,
                      -std::numeric_limits<float>::infinity());
        }
      }
      if (r % 3 == 0) {
        std::vector<int64_t>& distances = row.distances.emplace_back(length);
        for (size_t i = 0; i < length; ++i)
          distances[i] = static_cast<int64_t>((i * 17 + g) % length);
        row.rotary = &rotary;
      }
    }
    if (!batch.biases[r].empty()) row.logit_bias = &batch.biases[r];
  }
  batch.queries =
      random_tensor({static_cast<int64_t>(count), kv_heads * group, head_dim}, 5).to(dtype);
  return batch;
}

class DecodeKernel
    : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t, c10::ScalarType>> {
 protected:
  void SetUp() override { skip_without_gpu(); }
};

TEST_P(DecodeKernel, EqualsTheReference) {
  const auto [kv_heads, group, head_dim, dtype] = GetParam();
  const RotaryTable rotary(head_dim, RotaryRule{10000.0}, 512, at::kCPU);
  const RotaryTable device_rotary(head_dim, RotaryRule{10000.0}, 512, kDevice);
  const Batch batch = batch_of(kv_heads, group, head_dim, dtype, rotary);
  const std::vector<DecodeRow> rows = batch.device_rows(&device_rotary);
  ASSERT_TRUE(has_kernel_for(on_device(batch.queries), rows));
  // The reference un-rotates keys in fp32 from the rounded entries, as the kernel does.
  const DecodeAttention expected = reference::decode_attention(batch.queries, batch.rows, 0.2);
  DecodeAttention found;
  const at::Tensor output = computed_twice([&] {
    found = attend_rows(on_device(batch.queries), rows, 0.2);
    return found.output;
  });
  // Both sides round an fp32 result once; values reach about 4.
  const double limit = dtype == at::kFloat ? 1e-5 : dtype == at::kHalf ? 0.004 : 0.032;
  EXPECT_EQ(output.scalar_type(), dtype);
  EXPECT_LE(max_difference(output.cpu(), expected.output), limit);
  for (size_t r = 0; r < rows.size(); ++r) {
    ASSERT_EQ(found.weights[r].defined(), rows[r].weights) << "row " << r;
    if (!rows[r].weights) continue;
    EXPECT_EQ(found.weights[r].device().type(), kDevice.type());
    EXPECT_LT(max_difference(found.weights[r].cpu(), expected.weights[r]), kWeightLimit)
        << "row " << r;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, DecodeKernel,
                         testing::Combine(testing::Values(2), testing::Values(1, 3, 7),
                                          testing::Values(64, 128),
                                          testing::Values(at::kFloat, at::kHalf, at::kBFloat16)));
// More query heads than one block takes, and head sizes whose pieces do not divide the threads.
INSTANTIATE_TEST_SUITE_P(OtherShapes, DecodeKernel,
                         testing::Combine(testing::Values(3), testing::Values(11),
                                          testing::Values(16, 80, 256),
                                          testing::Values(at::kFloat, at::kBFloat16)));

TEST_F(CudaKernels, ADecodeRowDoesNotDependOnTheOthers) {
  const RotaryTable rotary(64, RotaryRule{10000.0}, 512, at::kCPU);
  const RotaryTable device_rotary(64, RotaryRule{10000.0}, 512, kDevice);
  const Batch batch = batch_of(2, 3, 64, at::kFloat, rotary);
  const std::vector<DecodeRow> rows = batch.device_rows(&device_rotary);
  const at::Tensor queries = on_device(batch.queries);
  const at::Tensor together = attend_rows(queries, rows, 0.125).output;
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto index = static_cast<int64_t>(r);
    const at::Tensor alone = attend_rows(queries.narrow(0, index, 1), {rows[r]}, 0.125).output;
    EXPECT_TRUE(alone[0].equal(together[index])) << "row " << r;
  }
}

TEST_F(CudaKernels, DecodeFollowsPlaces) {
  for (const int64_t head_dim : {64, 80}) {
    for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const RotaryTable rotary(head_dim, RotaryRule{10000.0}, 512, at::kCPU);
      const RotaryTable device_rotary(head_dim, RotaryRule{10000.0}, 512, kDevice);
      const Batch batch = batch_of(2, 3, head_dim, dtype, rotary);
      const at::Tensor queries = on_device(batch.queries);
      std::vector<DecodeRow> rows = batch.device_rows(&device_rotary);
      const DecodeAttention expected = attend_rows(queries, rows, 0.125);
      std::vector<ScatteredEntries> scattered;
      for (const DecodeRow& row : batch.rows) scattered.emplace_back(row);
      for (size_t r = 0; r < rows.size(); ++r) {
        if (r % 4 == 3) continue;  // some lie in one piece
        scattered[r].place(rows[r]);
        for (at::Tensor* entries :
             {&rows[r].keys, &rows[r].values, &rows[r].prompt_keys, &rows[r].prompt_values})
          *entries = on_device(*entries);
      }
      ASSERT_TRUE(has_kernel_for(queries, rows));
      const DecodeAttention found = attend_rows(queries, rows, 0.125);
      EXPECT_TRUE(found.output.equal(expected.output));
      for (size_t r = 0; r < rows.size(); ++r) {
        if (!rows[r].weights) continue;
        EXPECT_TRUE(found.weights[r].equal(expected.weights[r])) << "row " << r;
      }
    }
  }
}

TEST_F(CudaKernels, DecodeShapesWithoutAKernelAreRefused) {
  const std::vector<int64_t> starts{0};
  const std::vector<int64_t> lengths{4};
  const auto has_kernel = [&](int64_t head_dim, c10::ScalarType dtype, int64_t offset = 0,
                              bool turned = false) {
    const RotaryTable rotary(64, RotaryRule{10000.0}, 8, kDevice);
    const at::Tensor storage = on_device(random_tensor({head_dim * 5}, 1).to(dtype));
    DecodeRow row;
    row.keys = storage.narrow(0, offset, head_dim * 4).view({4, head_dim});
    row.values = row.keys;
    row.starts = &starts;
    row.lengths = &lengths;
    if (turned) {
      row.distances = {{3, 2, 1, 0}};
      row.rotary = &rotary;
    }
    return has_kernel_for(on_device(random_tensor({1, 1, head_dim}, 2).to(dtype)), {row});
  };
  EXPECT_TRUE(has_kernel(24, at::kHalf));
  EXPECT_TRUE(has_kernel(20, at::kFloat));
  EXPECT_FALSE(has_kernel(20, at::kHalf));
  EXPECT_FALSE(has_kernel(20, at::kFloat, /*offset=*/0, /*turned=*/true));
  EXPECT_FALSE(has_kernel(264, at::kFloat));
  EXPECT_FALSE(has_kernel(64, at::kFloat, /*offset=*/2));
  EXPECT_FALSE(has_kernel(64, at::kDouble));
}

}  // namespace
}  // namespace elastikv
