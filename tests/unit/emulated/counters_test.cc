// What the emulated device counts.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "kernels/accelerator.h"
#include "kernels/chunk_attention.h"
#include "kernels/merge.h"
#include "support/random_chunk.h"
#include "support/tensors.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

class EmulatedCounters : public OnEmulatedDevice {
 protected:
  template <typename Work>
  static emulated::Counters of(const Work& work) {
    const emulated::Counters before = emulated::counted();
    work();
    return emulated::counted() - before;
  }
};

TEST_F(EmulatedCounters, OperatorsAreLaunchesAndViewsAreNone) {
  const at::Tensor x = at::ones({4, 6}, at::TensorOptions().device(kEmulated));
  at::Tensor y;
  EXPECT_EQ(of([&] { y = x.narrow(0, 1, 2).t().unsqueeze(0).view({6, 2}); }).launches, 0);
  EXPECT_EQ(of([&] { y = x + x; }).launches, 1);
  EXPECT_EQ(of([&] { y.add_(x); }).launches, 1);
  EXPECT_EQ(of([&] { y = x.t().contiguous(); }).launches, 1);
  EXPECT_EQ(of([&] { y = at::empty({4}, x.options()); }).launches, 0);
  EXPECT_EQ(of([&] { y = at::ones({4}, x.options()); }).launches, 1);
  const emulated::Counters none = of([&] { y = (x * 2).sum(); });
  EXPECT_EQ(none.launches, 2);
  EXPECT_EQ(none.synchronisations, 0);
}

TEST_F(EmulatedCounters, CopiesAndWaits) {
  const at::Tensor here = at::ones({4, 6});
  at::Tensor there;
  const emulated::Counters sent = of([&] { there = here.to(kEmulated); });
  EXPECT_EQ(sent.to_device_copies, 1);
  EXPECT_EQ(sent.to_device_bytes, 96);
  EXPECT_EQ(sent.launches, 0);
  EXPECT_EQ(sent.synchronisations, 1);
  const emulated::Counters fetched = of([&] { there.cpu(); });
  EXPECT_EQ(fetched.to_host_copies, 1);
  EXPECT_EQ(fetched.to_host_bytes, 96);
  EXPECT_EQ(fetched.synchronisations, 1);
  // The order of bytes changes on the device first.
  EXPECT_EQ(of([&] { there.t().cpu(); }).launches, 1);
  const emulated::Counters number = of([&] { there[0][0].item<float>(); });
  EXPECT_EQ(number.to_host_copies, 1);
  EXPECT_EQ(number.synchronisations, 1);
}

TEST_F(EmulatedCounters, AKernelIsALaunchAndItsArgumentsOneCopy) {
  ASSERT_NE(accelerator_of(kEmulated), nullptr);
  EXPECT_EQ(accelerator_of(c10::Device(c10::DeviceType::CPU)), nullptr);
  const at::Tensor x = random_tensor({2, 12, 8}, 1);
  MergeRows rows;
  rows.kept = at::tensor({0, 4, 8}, at::kLong);
  rows.source = at::tensor({1, 2, 5}, at::kLong);
  rows.anchor = at::tensor({0, 0, 1}, at::kLong);
  const at::Tensor there = x.to(kEmulated);
  at::Tensor merged;
  const emulated::Counters counted = of([&] { merged = gather_and_merge(there, rows); });
  EXPECT_EQ(counted.launches, 1);
  EXPECT_EQ(counted.to_device_copies, 1);
  EXPECT_EQ(counted.synchronisations, 0);
  EXPECT_TRUE(merged.cpu().equal(gather_and_merge(x, rows)));
}

TEST_F(EmulatedCounters, ChunkAttentionAsksNoMoreForManyRowsThanForOne) {
  const RotaryTable rotary(16, RotaryRule{10000.0}, 512, kEmulated);
  for (const bool unrotated : {false, true}) {
    // Two splits of slots, so that they have to be put together.
    for (const int64_t count : {1, 12}) {
      RandomChunk chunk(count, 3, 2, 3, 16, /*ragged=*/true, unrotated, 1, 560, 560);
      for (ChunkRow& row : chunk.rows) {
        row.keys = row.keys.to(kEmulated);
        row.values = row.values.to(kEmulated);
        if (unrotated) row.rotary = &rotary;
      }
      const at::Tensor queries = chunk.queries.to(kEmulated);
      const emulated::Counters counted = of([&] { chunk_attention(queries, chunk.rows, 0.2); });
      EXPECT_EQ(counted.launches, 2) << count << " rows";
      EXPECT_EQ(counted.to_device_copies, 1) << count << " rows";
      EXPECT_EQ(counted.to_host_copies, 0) << count << " rows";
      EXPECT_EQ(counted.synchronisations, 0) << count << " rows";
    }
  }
}

}  // namespace
}  // namespace elastikv
