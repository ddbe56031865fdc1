#include "cache/kv_cache.h"

#include <algorithm>
#include <initializer_list>
#include <vector>

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/tensors.h"

namespace elastikv {
namespace {

CacheShape shape(c10::ScalarType dtype = at::kFloat) { return {2, 3, 4, dtype, at::kCPU}; }

/// Two layers of `tokens` random entries.
KVCache filled(int64_t tokens, c10::ScalarType dtype = at::kFloat) {
  KVCache cache(shape(dtype));
  for (int64_t layer = 0; layer < 2; ++layer) {
    cache.adopt(layer, random_tensor({3, tokens, 4}, 2 * layer).to(dtype),
                random_tensor({3, tokens, 4}, 2 * layer + 1).to(dtype), /*first_position=*/0);
  }
  return cache;
}

at::Tensor used_keys(const KVCache& cache, int64_t layer) {
  return cache.keys(layer).narrow(1, 0, cache.max_length(layer));
}

LayerPlan keep(const std::vector<int64_t>& slots) {
  LayerPlan plan;
  plan.kept = at::tensor(slots, at::kLong).view({1, -1});
  return plan;
}

TEST(KVCache, AppendsInOrder) {
  KVCache cache(shape());
  const at::Tensor keys = random_tensor({3, 5, 4}, 1);
  const at::Tensor values = random_tensor({3, 5, 4}, 2);
  for (int64_t t = 0; t < 5; ++t) cache.append(0, keys.narrow(1, t, 1), values.narrow(1, t, 1), t);
  EXPECT_TRUE(used_keys(cache, 0).equal(keys));
  EXPECT_TRUE(cache.values(0).narrow(1, 0, 5).equal(values));
  EXPECT_EQ(cache.positions(0), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(cache.length(1), 0);
}

TEST(KVCache, ReservedRoomIsNotReallocated) {
  KVCache cache = filled(4);
  cache.reserve(10);
  const void* before = cache.keys(0).const_data_ptr();
  for (int64_t t = 4; t < 10; ++t)
    cache.append(0, random_tensor({3, 1, 4}, 9), random_tensor({3, 1, 4}, 8), t);
  EXPECT_EQ(cache.keys(0).const_data_ptr(), before);
  EXPECT_EQ(cache.length(0), 10);
}

TEST(KVCache, AForkDoesNotSeeTheOthersChanges) {
  KVCache cache = filled(6);
  const at::Tensor before = used_keys(cache, 0).clone();
  KVCache fork = cache.fork();
  EXPECT_EQ(fork.keys(0).const_data_ptr(), cache.keys(0).const_data_ptr());
  fork.give_up(0, 0, 2);
  fork.append(0, random_tensor({3, 1, 4}, 9), random_tensor({3, 1, 4}, 8), 6);
  EXPECT_TRUE(used_keys(cache, 0).equal(before));
  cache.append(0, random_tensor({3, 1, 4}, 5), random_tensor({3, 1, 4}, 4), 6);
  EXPECT_EQ(fork.positions(0), (std::vector<int64_t>{0, 1, 5, 3, 4, 6}));
  EXPECT_TRUE(cache.keys(0).narrow(1, 0, 6).equal(before));
}

TEST(KVCache, APlanThatKeepsEverythingTouchesNothing) {
  KVCache cache = filled(6);
  const void* before = cache.keys(0).const_data_ptr();
  cache.apply(0, LayerPlan{});
  EXPECT_EQ(cache.keys(0).const_data_ptr(), before);
}

TEST(KVCache, GathersAndMerges) {
  KVCache cache = filled(6);
  const at::Tensor old_keys = used_keys(cache, 0).clone();
  const at::Tensor old_values = cache.values(0).narrow(1, 0, 6).clone();
  LayerPlan plan = keep({0, 3, 5});
  plan.source = at::tensor({1, 2, 4}, at::kLong).view({1, -1});
  plan.anchor = at::tensor({0, 1, 1}, at::kLong).view({1, -1});
  cache.apply(0, plan);
  EXPECT_EQ(cache.positions(0), (std::vector<int64_t>{0, 3, 5}));
  const auto mean = [](const at::Tensor& x, std::initializer_list<int64_t> slots) {
    at::Tensor sum = x.select(1, *slots.begin()) * 0;
    for (const int64_t slot : slots) sum = sum + x.select(1, slot);
    return sum / static_cast<double>(slots.size());
  };
  EXPECT_LT(max_difference(cache.keys(0).select(1, 0), mean(old_keys, {0, 1})), 1e-6);
  EXPECT_LT(max_difference(cache.keys(0).select(1, 1), mean(old_keys, {2, 3, 4})), 1e-6);
  EXPECT_TRUE(cache.keys(0).select(1, 2).equal(old_keys.select(1, 5)));
  EXPECT_LT(max_difference(cache.values(0).select(1, 1), mean(old_values, {2, 3, 4})), 1e-6);
  EXPECT_EQ(cache.length(1), 6);
}

TEST(KVCache, HeadsMayDiffer) {
  KVCache cache = filled(6);
  const at::Tensor old_keys = used_keys(cache, 0).clone();
  LayerPlan plan;
  plan.kept = at::tensor({0, 1, 5, 0, 2, -1, 3, -1, -1}, at::kLong).view({3, 3});
  cache.apply(0, plan);
  EXPECT_EQ(cache.groups(0), 3);
  EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{3, 2, 1}));
  EXPECT_TRUE(cache.keys(0)[1].narrow(0, 0, 2).equal(
      old_keys[1].index_select(0, at::tensor({0, 2}, at::kLong))));
  EXPECT_TRUE(cache.keys(0)[2][0].equal(old_keys[2][3]));
  // A new entry goes to the end of every head.
  const at::Tensor entry = random_tensor({3, 1, 4}, 77);
  cache.append(0, entry, entry, 6);
  EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{4, 3, 2}));
  for (int64_t h = 0; h < 3; ++h)
    EXPECT_TRUE(cache.keys(0)[h][3 - h].equal(entry[h][0])) << "head " << h;
  // Giving up one head's slot leaves the others alone.
  cache.give_up(0, 1, 0);
  EXPECT_EQ(cache.positions(0, 0), (std::vector<int64_t>{0, 1, 5, 6}));
  EXPECT_EQ(cache.positions(0, 1), (std::vector<int64_t>{6, 2}));
  // 4 + 2 + 2 slots in layer 0, 3 * 6 in layer 1, of 4 floats each for keys and values.
  EXPECT_EQ(cache.bytes(), (8 + 18) * 4 * 4 * 2);
  EXPECT_EQ(cache.slots_per_layer(), (std::vector<int64_t>{3, 6}));
}

TEST(KVCache, SeveralSlotsAreGivenUpWhateverTheirOrder) {
  KVCache cache = filled(6);
  StepPlan plan;
  plan.give_up = {{1, 5, 0}};
  cache.apply(0, plan);
  std::vector<int64_t> left = cache.positions(0);
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (std::vector<int64_t>{2, 3, 4}));
}

TEST(KVCache, ReleasedCodeMayRepeatEntries) {
  KVCache cache = filled(3);
  const at::Tensor old_keys = used_keys(cache, 0).clone();
  cache.apply(0, keep({0, 1, 0, 1, 2}));
  EXPECT_EQ(cache.length(0), 5);
  EXPECT_TRUE(cache.keys(0).select(1, 3).equal(old_keys.select(1, 1)));
}

}  // namespace
}  // namespace elastikv
