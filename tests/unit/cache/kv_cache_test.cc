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
#include "kernels/rotary.h"
#include "support/counting_allocator.h"
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
  fork.give_up(0, 0, 2);
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
  const at::Tensor old_keys = cache.keys(0).clone();
  cache.apply(0, keep({0, 1, 0, 1, 2}));
  EXPECT_EQ(cache.length(0), 5);
  EXPECT_TRUE(cache.keys(0).select(1, 3).equal(old_keys.select(1, 1)));
}

/// Keeps the given slots of each head.
LayerPlan keep_by_head(const std::vector<std::vector<int64_t>>& slots) {
  size_t longest = 0;
  for (const auto& row : slots) longest = std::max(longest, row.size());
  LayerPlan plan;
  plan.kept =
      at::full({static_cast<int64_t>(slots.size()), static_cast<int64_t>(longest)}, -1, at::kLong);
  for (size_t h = 0; h < slots.size(); ++h) {
    for (size_t i = 0; i < slots[h].size(); ++i)
      plan.kept[static_cast<int64_t>(h)][static_cast<int64_t>(i)].fill_(slots[h][i]);
  }
  return plan;
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
    EXPECT_EQ(static_cast<int64_t>(cache.key_storage(0).storage().nbytes()),
              (260 + 3 * room) * kRow);
    EXPECT_EQ(cache.bytes(), 2 * 260 * kRow);
    // What was reserved is there for every head.
    const at::Tensor entry = random_tensor({3, 1, kHeadDim}, 3);
    const void* before = cache.key_storage(0).const_data_ptr();
    for (int64_t i = 0; i < room; ++i) cache.append(0, entry, entry, 600 + i);
    EXPECT_EQ(cache.key_storage(0).const_data_ptr(), before);
    EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{10 + room, 200 + room, 50 + room}));
    EXPECT_EQ(cache.allocated_bytes(), 2 * (260 + 3 * room) * kRow);
  }
}

TEST(KVCacheMemory, AForkKeepsTheOthersStorageOnlyUntilItHasItsOwn) {
  CountingAllocator allocator;
  KVCache prompt = filled(100);
  const int64_t whole = allocator.bytes();
  EXPECT_EQ(whole, prompt.allocated_bytes());
  KVCache fork = prompt.fork();
  EXPECT_EQ(allocator.bytes(), whole);
  for (int64_t layer = 0; layer < 2; ++layer) fork.apply(layer, keep({3, 4}));
  EXPECT_EQ(allocator.bytes(), whole + fork.allocated_bytes());
  EXPECT_EQ(fork.allocated_bytes(), 2 * 2 * 3 * 2 * 4 * 4);
}

TEST(KVCacheMemory, StepsWithinTheReservedRoomMoveNothing) {
  // Append, then give one up or rebuild, as policies do: storage stays where it is.
  KVCache cache = filled(20);
  cache.apply(0, keep_by_head({{1, 2, 3}, {4, 5, 6, 7, 8}, {0}}));
  cache.reserve(1);
  const void* before = cache.key_storage(0).const_data_ptr();
  const at::Tensor entry = random_tensor({3, 1, 4}, 3);
  for (int64_t i = 0; i < 10; ++i) {
    cache.append(0, entry, entry, 20 + i);
    StepPlan plan;
    if (i % 2 == 0) {
      plan.give_up = {{0}, {1}, {0}};
    } else {
      plan.rebuild = keep_by_head({{1, 2, 3}, {0, 2, 3, 4, 5}, {1}});
    }
    cache.apply(0, plan);
    EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{3, 5, 1}));
    EXPECT_EQ(cache.key_storage(0).const_data_ptr(), before) << "step " << i;
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

  void give_up(const std::vector<int64_t>& slots) {
    StepPlan plan;
    for (const int64_t slot : slots) plan.give_up.push_back({slot});
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
          ragged.give_up(slots);
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
  EXPECT_EQ(keys.const_data_ptr(), cache.key_storage(0).const_data_ptr());
  cache.reserve(3);
  EXPECT_TRUE(cache.keys(0).equal(keys));
  EXPECT_EQ(cache.head_starts(0), (std::vector<int64_t>{0, 9, 18}));
  // Heads that have become equally long again, at uneven distances.
  cache.apply(0, keep_by_head({{0, 1}, {2, 3, 4}, {5, 1}}));
  cache.give_up(0, /*group=*/1, /*slot=*/2);
  EXPECT_TRUE(
      cache.keys(0).equal(at::stack({keys[0].index_select(0, at::tensor({0, 1}, at::kLong)),
                                     keys[1].index_select(0, at::tensor({2, 3}, at::kLong)),
                                     keys[2].index_select(0, at::tensor({5, 1}, at::kLong))})));
}

/// Merges written out, for any rule, key space and heads: f32 [kept, head_dim] of one head.
at::Tensor merged_head(const at::Tensor& x, const std::vector<int64_t>& positions,
                       const std::vector<int64_t>& kept, const std::vector<int64_t>& source,
                       const std::vector<int64_t>& anchor, const std::vector<double>& source_weight,
                       const std::vector<double>& anchor_weight, LayerPlan::Rule rule,
                       const RotaryTable* rotary) {
  const auto at_position = [&](const at::Tensor& entry, int64_t position, bool off) {
    if (rotary == nullptr) return entry;
    const at::Tensor one = entry.view({1, 1, -1});
    const at::Tensor where = at::tensor({position}, at::kLong);
    return (off ? rotary->unrotate(one, where) : rotary->rotate(one, where)).view({-1});
  };
  std::vector<at::Tensor> rows;
  for (size_t a = 0; a < kept.size(); ++a) {
    const auto position = [&](int64_t slot) { return positions[static_cast<size_t>(slot)]; };
    at::Tensor sum = at_position(x[kept[a]], position(kept[a]), true) * anchor_weight[a];
    double total = anchor_weight[a];
    for (size_t i = 0; i < source.size(); ++i) {
      if (anchor[i] != static_cast<int64_t>(a)) continue;
      sum = sum + at_position(x[source[i]], position(source[i]), true) * source_weight[i];
      total += source_weight[i];
    }
    if (rule == LayerPlan::Rule::kMean) sum = sum / total;
    rows.push_back(at_position(sum, position(kept[a]), false));
  }
  return at::stack(rows);
}

TEST(KVCacheMerges, EveryRuleEqualsBruteForce) {
  constexpr int64_t kHeadDim = 8;
  const RotaryTable rotary(kHeadDim, RotaryRule{100.0}, 64, at::kCPU);
  const std::vector<std::vector<int64_t>> kept{{0, 3, 7}, {1, 8}, {2, 4, 5}};
  const std::vector<std::vector<int64_t>> source{{1, 2, 6, 8}, {0, 5, 5}, {8}};
  const std::vector<std::vector<int64_t>> anchor{{0, 1, 1, 1}, {0, 1, 0}, {2}};
  const std::vector<std::vector<double>> source_weight{{0.5, 2, 1, 0.25}, {1, 3, 0.5}, {2}};
  const std::vector<std::vector<double>> anchor_weight{{1, 0.5, 2}, {3, 1}, {1, 1, 0.75}};
  const auto padded = [](const auto& rows, int64_t columns, const at::Tensor& fill) {
    at::Tensor all = fill.expand({static_cast<int64_t>(rows.size()), columns}).clone();
    for (size_t r = 0; r < rows.size(); ++r) {
      for (size_t i = 0; i < rows[r].size(); ++i)
        all[static_cast<int64_t>(r)][static_cast<int64_t>(i)].fill_(rows[r][i]);
    }
    return all;
  };
  const at::Tensor none = at::full({1, 1}, -1, at::kLong);
  const at::Tensor zero = at::zeros({1, 1});
  for (const bool by_head : {false, true}) {
    const auto heads_of = [by_head](auto rows) {
      if (!by_head) rows.resize(1);
      return rows;
    };
    for (const LayerPlan::Rule rule : {LayerPlan::Rule::kMean, LayerPlan::Rule::kSum}) {
      for (const LayerPlan::KeySpace space :
           {LayerPlan::KeySpace::kRotated, LayerPlan::KeySpace::kUnrotated}) {
        for (const bool merge_keys : {true, false}) {
          for (const bool rerotated : {false, true}) {
            SCOPED_TRACE(testing::Message()
                         << "by head " << by_head << ", sum " << (rule == LayerPlan::Rule::kSum)
                         << ", unrotated " << (space == LayerPlan::KeySpace::kUnrotated)
                         << ", keys " << merge_keys << ", rerotated " << rerotated);
            KVCache cache({.layers = 1, .kv_heads = 3, .head_dim = kHeadDim});
            cache.adopt(0, random_tensor({3, 9, kHeadDim}, 1), random_tensor({3, 9, kHeadDim}, 2),
                        /*first_position=*/10);
            // Storage order is free.
            cache.permute(0, at::tensor({4, 1, 8, 0, 2, 6, 3, 7, 5}, at::kLong));
            const std::vector<int64_t> positions = cache.positions(0);
            if (rerotated) cache.unrotate_keys(rotary);
            const at::Tensor keys = cache.keys(0).clone();
            const at::Tensor values = cache.values(0).clone();
            LayerPlan plan;
            plan.kept = padded(heads_of(kept), 3, none);
            plan.source = padded(heads_of(source), 4, none);
            plan.anchor = padded(heads_of(anchor), 4, none);
            plan.source_weight = padded(heads_of(source_weight), 4, zero);
            plan.anchor_weight = padded(heads_of(anchor_weight), 3, zero);
            plan.rule = rule;
            plan.key_space = space;
            plan.merge_keys = merge_keys;
            cache.apply(0, plan, &rotary);
            for (int64_t h = 0; h < 3; ++h) {
              const size_t g = by_head ? static_cast<size_t>(h) : 0;
              const bool turns = space == LayerPlan::KeySpace::kUnrotated && !rerotated;
              const at::Tensor expected_values =
                  merged_head(values[h], positions, kept[g], source[g], anchor[g], source_weight[g],
                              anchor_weight[g], rule, nullptr);
              EXPECT_LT(max_difference(cache.head_values(0, h), expected_values), 2e-6);
              if (!merge_keys) {
                EXPECT_TRUE(cache.head_keys(0, h).equal(
                    keys[h].index_select(0, at::tensor(kept[g], at::kLong))));
                continue;
              }
              const at::Tensor expected_keys =
                  merged_head(keys[h], positions, kept[g], source[g], anchor[g], source_weight[g],
                              anchor_weight[g], rule, turns ? &rotary : nullptr);
              EXPECT_LT(max_difference(cache.head_keys(0, h), expected_keys), 2e-6);
            }
          }
        }
      }
    }
  }
}

TEST(KVCacheMerges, AnAnchorWithoutSourcesKeepsItsBitsInEveryKeySpace) {
  const RotaryTable rotary(4, RotaryRule{100.0}, 64, at::kCPU);
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    KVCache cache = filled(6, dtype);
    const at::Tensor keys = cache.keys(0).clone();
    LayerPlan plan = keep({1, 4});
    plan.source = at::tensor({0, 3}, at::kLong).view({1, -1});
    plan.anchor = at::tensor({0, 0}, at::kLong).view({1, -1});
    plan.key_space = LayerPlan::KeySpace::kUnrotated;
    cache.apply(0, plan, &rotary);
    EXPECT_TRUE(cache.keys(0).select(1, 1).equal(keys.select(1, 4)));
    EXPECT_FALSE(cache.keys(0).select(1, 0).equal(keys.select(1, 1)));
  }
}

TEST(KVCacheMerges, UnrotatedMergesNeedARotaryTable) {
  KVCache cache = filled(6);
  LayerPlan plan = keep({1, 4});
  plan.source = at::tensor({0}, at::kLong).view({1, -1});
  plan.anchor = at::tensor({0}, at::kLong).view({1, -1});
  plan.key_space = LayerPlan::KeySpace::kUnrotated;
  EXPECT_THROW(cache.apply(0, plan), InternalError);
  plan.merge_keys = false;
  cache.apply(0, plan);
  EXPECT_EQ(cache.length(0), 2);
}

TEST(KVCacheMerges, AStepMayRebuildALayer) {
  KVCache cache = filled(5);
  cache.apply(0, keep_by_head({{0, 1, 2}, {3, 4}, {1, 2, 3, 4}}));
  const at::Tensor values = cache.head_values(0, 2).clone();
  StepPlan step;
  step.rebuild = keep_by_head({{0, 1}, {1}, {0, 3}});
  step.rebuild.source = at::tensor({2, -1, 0, -1, 1, 2}, at::kLong).view({3, 2});
  step.rebuild.anchor = at::tensor({1, -1, 0, -1, 0, 1}, at::kLong).view({3, 2});
  cache.apply(0, step);
  EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{2, 1, 2}));
  EXPECT_LT(max_difference(cache.head_values(0, 2),
                           at::stack({(values[0] + values[1]) / 2, (values[3] + values[2]) / 2})),
            1e-6);
}

TEST(KVCacheBias, IsAbsentUntilAPlanBringsOne) {
  KVCache cache = filled(6);
  cache.apply(0, keep({0, 2, 4, 5}));
  EXPECT_FALSE(cache.has_logit_bias(0));
  LayerPlan plan = keep({0, 1, 3});
  plan.logit_bias = at::tensor({0.5, 0.0, -1.0}, at::kFloat).view({1, -1});
  cache.apply(0, plan);
  EXPECT_TRUE(cache.has_logit_bias(0));
  EXPECT_FALSE(cache.has_logit_bias(1));
  EXPECT_EQ(cache.logit_bias(0), (std::vector<std::vector<float>>{{0.5F, 0.0F, -1.0F}}));
  // A plan without biases leaves those of the slots it keeps; another adds to them.
  cache.apply(0, keep({0, 2}));
  EXPECT_EQ(cache.logit_bias(0), (std::vector<std::vector<float>>{{0.5F, -1.0F}}));
  plan = keep({1, 0});
  plan.logit_bias = at::tensor({2.0, 0.25}, at::kFloat).view({1, -1});
  KVCache fork = cache.fork();
  fork.apply(0, plan);
  EXPECT_EQ(fork.logit_bias(0), (std::vector<std::vector<float>>{{1.0F, 0.75F}}));
  EXPECT_EQ(cache.logit_bias(0), (std::vector<std::vector<float>>{{0.5F, -1.0F}}));
}

TEST(KVCacheUnrotate, TakesTheRotationOffAllKeysOfAllLayers) {
  const RotaryTable rotary(4, RotaryRule{100.0}, 64, at::kCPU);
  KVCache cache = filled(6);
  cache.apply(1, keep_by_head({{0, 5}, {1}, {2, 3, 4}}));
  const at::Tensor keys = cache.keys(0).clone();
  const at::Tensor third = cache.head_keys(1, 2).clone();
  KVCache fork = cache.fork();
  fork.unrotate_keys(rotary);
  EXPECT_TRUE(fork.keys_are_unrotated());
  EXPECT_FALSE(cache.keys_are_unrotated());
  EXPECT_TRUE(fork.fork().keys_are_unrotated());
  EXPECT_TRUE(cache.keys(0).equal(keys));
  EXPECT_LT(max_difference(rotary.rotate(fork.keys(0), at::arange(6, at::kLong)), keys), 1e-6);
  EXPECT_LT(max_difference(rotary.rotate(fork.head_keys(1, 2).unsqueeze(0),
                                         at::tensor({2, 3, 4}, at::kLong))[0],
                           third),
            1e-6);
  EXPECT_TRUE(fork.values(0).equal(cache.values(0)));
}

TEST(KVCacheRotaryPositions, TokensAfterThePromptGoOnBehindTheLargest) {
  KVCache cache = filled(6);
  EXPECT_EQ(cache.rotary_position(9), 9);
  EXPECT_TRUE(cache.rotary_positions({4, 1}).equal(at::tensor({4, 1}, at::kLong)));
  // Three axes: a picture of 1 x 2 tokens within text.
  const at::Tensor positions =
      at::tensor({0, 1, 2, 2, 4, 5, 0, 1, 2, 2, 4, 5, 0, 1, 2, 3, 4, 5}, at::kLong).view({3, 6});
  cache.set_rotary_positions(positions);
  EXPECT_EQ(cache.rotary_position(6), 6);
  KVCache fork = cache.fork();
  fork.set_rotary_positions(positions.clamp_max(2));
  EXPECT_EQ(fork.rotary_position(6), 3);
  EXPECT_EQ(fork.rotary_position(8), 5);
  EXPECT_TRUE(fork.rotary_positions({7, 3, 5}).equal(
      at::tensor({4, 2, 2, 4, 2, 2, 4, 2, 2}, at::kLong).view({3, 3})));
  EXPECT_EQ(cache.rotary_position(8), 8);
}

TEST(KVCacheRotaryPositions, RotationsComeOffAndMergesTurnByAllAxes) {
  const RotaryTable rotary(4, RotaryRule{.theta = 100.0, .sections = {1, 1}}, 64, at::kCPU);
  const at::Tensor positions =
      at::tensor({0, 3, 5, 2, 9, 1, 0, 7, 5, 4, 9, 8}, at::kLong).view({2, 6});
  KVCache cache = filled(6);
  cache.set_rotary_positions(positions);
  const at::Tensor keys = cache.keys(0).clone();
  KVCache plain = cache.fork();
  plain.unrotate_keys(rotary);
  EXPECT_LT(max_difference(rotary.rotate(plain.keys(0), positions), keys), 1e-6);
  // Slots 1 and 3 join slot 4: their un-rotated mean, rotated as slot 4 is.
  LayerPlan plan = keep({0, 4});
  plan.source = at::tensor({1, 3}, at::kLong).view({1, 2});
  plan.anchor = at::tensor({1, 1}, at::kLong).view({1, 2});
  plan.key_space = LayerPlan::KeySpace::kUnrotated;
  const at::Tensor free = plain.keys(0);
  const at::Tensor mean =
      (free.select(1, 1) + free.select(1, 3) + free.select(1, 4)).unsqueeze(1) / 3;
  const at::Tensor expected = rotary.rotate(mean, positions.narrow(1, 4, 1));
  cache.apply(0, plan, &rotary);
  EXPECT_LT(max_difference(cache.keys(0).narrow(1, 1, 1), expected), 1e-6);
  EXPECT_TRUE(cache.keys(0).select(1, 0).equal(keys.select(1, 0)));
}

}  // namespace
}  // namespace elastikv
