#include "cache/kv_cache.h"

#include <algorithm>
#include <initializer_list>
#include <random>
#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "caches.h"
#include "kernels/rotary.h"
#include "support/counting_allocator.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

TEST(KVCache, AppendsInOrder) {
  KVCache cache(shape());
  const at::Tensor keys = random_tensor({3, 5, 4}, 1);
  const at::Tensor values = random_tensor({3, 5, 4}, 2);
  for (int64_t t = 0; t < 5; ++t) cache.append(0, keys.narrow(1, t, 1), values.narrow(1, t, 1), t);
  EXPECT_TRUE(cache.keys(0).equal(keys));
  EXPECT_TRUE(cache.values(0).equal(values));
  EXPECT_EQ(cache.positions(0), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(cache.length(1), 0);
}

TEST(KVCache, ReservedRoomIsNotReallocated) {
  KVCache cache = filled(4);
  cache.reserve(6);
  const void* before = cache.keys(0).const_data_ptr();
  for (int64_t t = 4; t < 10; ++t)
    cache.append(0, random_tensor({3, 1, 4}, 9), random_tensor({3, 1, 4}, 8), t);
  EXPECT_EQ(cache.keys(0).const_data_ptr(), before);
  EXPECT_EQ(cache.length(0), 10);
}

TEST(KVCache, AForkIsRotatedByTheSameTable) {
  KVCache cache = filled(6);
  EXPECT_EQ(cache.rotary_table(), 0);
  cache.set_rotary_table(2);
  EXPECT_EQ(cache.fork().rotary_table(), 2);
}

TEST(KVCache, AForkDoesNotSeeTheOthersChanges) {
  KVCache cache = filled(6);
  const at::Tensor before = cache.keys(0).clone();
  KVCache fork = cache.fork();
  EXPECT_EQ(fork.keys(0).const_data_ptr(), cache.keys(0).const_data_ptr());
  fork.evict(0, 0, 2);
  fork.append(0, random_tensor({3, 1, 4}, 9), random_tensor({3, 1, 4}, 8), 6);
  EXPECT_TRUE(cache.keys(0).equal(before));
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
  const at::Tensor old_keys = cache.keys(0).clone();
  const at::Tensor old_values = cache.values(0).clone();
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
  const at::Tensor old_keys = cache.keys(0).clone();
  LayerPlan plan;
  plan.kept = at::tensor({0, 1, 5, 0, 2, -1, 3, -1, -1}, at::kLong).view({3, 3});
  cache.apply(0, plan);
  EXPECT_EQ(cache.groups(0), 3);
  EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{3, 2, 1}));
  EXPECT_TRUE(
      cache.head_keys(0, 1).equal(old_keys[1].index_select(0, at::tensor({0, 2}, at::kLong))));
  EXPECT_TRUE(cache.head_keys(0, 2)[0].equal(old_keys[2][3]));
  // A new entry goes to the end of every head.
  const at::Tensor entry = random_tensor({3, 1, 4}, 77);
  cache.append(0, entry, entry, 6);
  EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{4, 3, 2}));
  for (int64_t h = 0; h < 3; ++h)
    EXPECT_TRUE(cache.head_keys(0, h)[3 - h].equal(entry[h][0])) << "head " << h;
  // Evicting one head's slot leaves the others alone.
  cache.evict(0, 1, 0);
  EXPECT_EQ(cache.positions(0, 0), (std::vector<int64_t>{0, 1, 5, 6}));
  EXPECT_EQ(cache.positions(0, 1), (std::vector<int64_t>{6, 2}));
  // 4 + 2 + 2 slots in layer 0, 3 * 6 in layer 1, of 4 floats each for keys and values.
  EXPECT_EQ(cache.bytes(), (8 + 18) * 4 * 4 * 2);
  EXPECT_EQ(cache.slots_per_layer(), (std::vector<int64_t>{3, 6}));
}

TEST(KVCache, SeveralSlotsAreEvictedWhateverTheirOrder) {
  KVCache cache = filled(6);
  StepPlan plan;
  plan.evict = {{1, 5, 0}};
  cache.apply(0, plan);
  std::vector<int64_t> left = cache.positions(0);
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (std::vector<int64_t>{2, 3, 4}));
}

TEST(KVCache, ReleasedCodeMayRepeatEntries) {
  KVCache cache = filled(3);
  const at::Tensor old_keys = cache.keys(0).clone();
  cache.apply(0, keep({0, 1, 0, 1, 2}));
  EXPECT_EQ(cache.length(0), 5);
  EXPECT_TRUE(cache.keys(0).select(1, 3).equal(old_keys.select(1, 1)));
}

std::vector<int64_t> every_other(int64_t count) {
  std::vector<int64_t> slots;
  for (int64_t i = 0; i < count; ++i) slots.push_back(2 * i);
  return slots;
}

TEST(KVCacheMemory, HeadsTakeOnlyWhatTheyHold) {
  constexpr int64_t kHeadDim = 16;
  constexpr int64_t kRow = kHeadDim * 4;  // bytes of one key
  for (const int64_t room : {0, 5}) {
    CountingAllocator allocator;
    KVCache cache({.layers = 1, .kv_heads = 3, .head_dim = kHeadDim});
    cache.adopt(0, random_tensor({3, 600, kHeadDim}, 1), random_tensor({3, 600, kHeadDim}, 2),
                /*first_position=*/0);
    EXPECT_EQ(allocator.bytes(), 2 * 3 * 600 * kRow);
    EXPECT_EQ(cache.allocated_bytes(), allocator.bytes());
    cache.reserve(room);
    {
      const LayerPlan plan = keep_by_head({every_other(10), every_other(200), every_other(50)});
      cache.apply(0, plan);
    }
    EXPECT_EQ(allocator.bytes(), 2 * (260 + 3 * room) * kRow);
    EXPECT_EQ(cache.allocated_bytes(), allocator.bytes());
    EXPECT_EQ(static_cast<int64_t>(cache.view(0).keys.storage().nbytes()), (260 + 3 * room) * kRow);
    EXPECT_EQ(cache.bytes(), 2 * 260 * kRow);
    // What was reserved is there for every head.
    const at::Tensor entry = random_tensor({3, 1, kHeadDim}, 3);
    const void* before = cache.view(0).keys.const_data_ptr();
    for (int64_t i = 0; i < room; ++i) cache.append(0, entry, entry, 600 + i);
    EXPECT_EQ(cache.view(0).keys.const_data_ptr(), before);
    EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{10 + room, 200 + room, 50 + room}));
    EXPECT_EQ(cache.allocated_bytes(), 2 * (260 + 3 * room) * kRow);
  }
}

TEST(KVCacheMemory, StepsWithinTheReservedRoomMoveNothing) {
  // Append, then give one up or rebuild, as policies do: storage stays where it is.
  KVCache cache = filled(20);
  cache.apply(0, keep_by_head({{1, 2, 3}, {4, 5, 6, 7, 8}, {0}}));
  cache.reserve(1);
  const void* before = cache.view(0).keys.const_data_ptr();
  const at::Tensor entry = random_tensor({3, 1, 4}, 3);
  for (int64_t i = 0; i < 10; ++i) {
    cache.append(0, entry, entry, 20 + i);
    StepPlan plan;
    if (i % 2 == 0) {
      plan.evict = {{0}, {1}, {0}};
    } else {
      plan.rebuild = keep_by_head({{1, 2, 3}, {0, 2, 3, 4, 5}, {1}});
    }
    cache.apply(0, plan);
    EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{3, 5, 1}));
    EXPECT_EQ(cache.view(0).keys.const_data_ptr(), before) << "step " << i;
  }
}

/// What a cache should hold, as plain lists per head.
struct HeadModel {
  std::vector<int64_t> positions;
  std::vector<float> biases;
  std::vector<at::Tensor> keys;
  std::vector<at::Tensor> values;
};

class RaggedCache {
 public:
  explicit RaggedCache(int64_t tokens) : cache_(filled(tokens)), heads_(3) {
    for (int64_t h = 0; h < 3; ++h) {
      for (int64_t i = 0; i < tokens; ++i) {
        HeadModel& head = heads_[static_cast<size_t>(h)];
        head.positions.push_back(i);
        head.biases.push_back(0);
        head.keys.push_back(cache_.keys(0)[h][i].clone());
        head.values.push_back(cache_.values(0)[h][i].clone());
      }
    }
  }

  KVCache& cache() { return cache_; }
  std::vector<HeadModel>& heads() { return heads_; }

  void append(int64_t position, uint64_t seed) {
    const at::Tensor keys = random_tensor({3, 1, 4}, seed);
    const at::Tensor values = random_tensor({3, 1, 4}, seed + 1);
    cache_.append(0, keys, values, position);
    for (int64_t h = 0; h < 3; ++h) {
      HeadModel& head = heads_[static_cast<size_t>(h)];
      head.positions.push_back(position);
      head.biases.push_back(0);
      head.keys.push_back(keys[h][0]);
      head.values.push_back(values[h][0]);
    }
  }

  void keep(const std::vector<std::vector<int64_t>>& slots, const at::Tensor& bias) {
    LayerPlan plan = keep_by_head(slots);
    plan.logit_bias = bias;
    cache_.apply(0, plan);
    for (size_t h = 0; h < 3; ++h) {
      const auto& mine = slots[slots.size() == 1 ? 0 : h];
      HeadModel kept;
      for (size_t i = 0; i < mine.size(); ++i) {
        const auto slot = static_cast<size_t>(mine[i]);
        kept.positions.push_back(heads_[h].positions[slot]);
        kept.biases.push_back(heads_[h].biases[slot]);
        if (bias.defined()) {
          kept.biases.back() +=
              bias[slots.size() == 1 ? 0 : static_cast<int64_t>(h)][static_cast<int64_t>(i)]
                  .item<float>();
        }
        kept.keys.push_back(heads_[h].keys[slot]);
        kept.values.push_back(heads_[h].values[slot]);
      }
      heads_[h] = kept;
    }
  }

  void evict(const std::vector<int64_t>& slots) {
    StepPlan plan;
    for (const int64_t slot : slots) plan.evict.push_back({slot});
    cache_.apply(0, plan);
    for (size_t h = 0; h < 3; ++h) {
      const auto slot = static_cast<size_t>(slots[slots.size() == 1 ? 0 : h]);
      HeadModel& head = heads_[h];
      const auto fill = [slot](auto& list) {
        list[slot] = list.back();
        list.pop_back();
      };
      fill(head.positions);
      fill(head.biases);
      fill(head.keys);
      fill(head.values);
    }
  }

  void expect_equal(const KVCache& cache) const {
    for (int64_t h = 0; h < 3; ++h) {
      const HeadModel& head = heads_[static_cast<size_t>(h)];
      const int64_t group = cache.groups(0) == 1 ? 0 : h;
      ASSERT_EQ(cache.positions(0, group), head.positions) << "head " << h;
      ASSERT_EQ(cache.head_lengths(0)[static_cast<size_t>(h)],
                static_cast<int64_t>(head.keys.size()));
      EXPECT_TRUE(cache.head_keys(0, h).equal(at::stack(head.keys))) << "head " << h;
      EXPECT_TRUE(cache.head_values(0, h).equal(at::stack(head.values))) << "head " << h;
      if (cache.has_logit_bias(0)) {
        EXPECT_EQ(cache.logit_bias(0)[static_cast<size_t>(group)], head.biases) << "head " << h;
      }
    }
  }

 private:
  KVCache cache_;
  std::vector<HeadModel> heads_;
};

TEST(KVCacheHeads, AnythingInAnyOrderEqualsPlainLists) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    std::mt19937_64 random(seed);
    RaggedCache ragged(12);
    if (seed % 3 == 0) ragged.cache().reserve(4);
    std::vector<KVCache> forks;
    std::vector<std::vector<HeadModel>> fork_heads;
    for (int64_t step = 0; step < 40; ++step) {
      const bool by_head = seed % 2 == 0 || step > 20;
      int64_t shortest = ragged.cache().head_lengths(0)[0];
      for (const int64_t length : ragged.cache().head_lengths(0))
        shortest = std::min(shortest, length);
      switch (random() % 5) {
        case 0:
        case 1:
          ragged.append(12 + step, 1000 * seed + 2 * static_cast<uint64_t>(step));
          break;
        case 2: {
          if (shortest < 2) break;
          std::vector<int64_t> slots;
          for (size_t h = 0; h < (by_head ? 3 : 1); ++h)
            slots.push_back(static_cast<int64_t>(random() % static_cast<uint64_t>(shortest)));
          ragged.evict(slots);
          break;
        }
        case 3: {
          std::vector<std::vector<int64_t>> slots(by_head ? 3 : 1);
          int64_t longest = 0;
          for (auto& row : slots) {
            for (int64_t i = 0; i < shortest; ++i) {
              if (row.empty() || random() % 3 != 0) row.push_back(i);
            }
            longest = std::max(longest, static_cast<int64_t>(row.size()));
          }
          const bool biased = random() % 2 == 0;
          ragged.keep(slots,
                      biased ? random_tensor({static_cast<int64_t>(slots.size()), longest}, step)
                             : at::Tensor());
          break;
        }
        default:
          if (random() % 3 == 0) {
            forks.push_back(ragged.cache().fork());
            fork_heads.push_back(ragged.heads());
          }
      }
      ragged.expect_equal(ragged.cache());
      if (testing::Test::HasFailure()) return;
    }
    // Whatever was done since has not reached the forks.
    for (size_t f = 0; f < forks.size(); ++f) {
      ragged.heads() = fork_heads[f];
      ragged.expect_equal(forks[f]);
    }
  }
}

TEST(KVCacheHeads, ViewsOfAllHeads) {
  KVCache cache = filled(6);
  const at::Tensor keys = cache.keys(0);
  EXPECT_EQ(keys.const_data_ptr(), cache.view(0).keys.const_data_ptr());
  cache.reserve(3);
  EXPECT_TRUE(cache.keys(0).equal(keys));
  EXPECT_EQ(*cache.view(0).starts, (std::vector<int64_t>{0, 9, 18}));
  // Heads that have become equally long again, at uneven distances.
  cache.apply(0, keep_by_head({{0, 1}, {2, 3, 4}, {5, 1}}));
  cache.evict(0, /*group=*/1, /*slot=*/2);
  EXPECT_TRUE(
      cache.keys(0).equal(at::stack({keys[0].index_select(0, at::tensor({0, 1}, at::kLong)),
                                     keys[1].index_select(0, at::tensor({2, 3}, at::kLong)),
                                     keys[2].index_select(0, at::tensor({5, 1}, at::kLong))})));
}

}  // namespace
}  // namespace elastikv
