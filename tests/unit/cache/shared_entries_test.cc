// Forks of a prompt: they must do what a cache with storage of its own does, to the last bit, and
// hold only what they add or change.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <random>
#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "cache/kv_cache.h"
#include "caches.h"
#include "kernels/attention.h"
#include "kernels/rotary.h"
#include "support/counting_allocator.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

/// Two heads' worth of queries for each of the three KV heads.
DecodeAttention attend(const KVCache& cache) {
  DecodeRow row;
  static_cast<EntryView&>(row) = cache.view(0);
  row.weights = true;
  return decode_attention(random_tensor({1, 6, 4}, 99), {row}, 0.5);
}

void expect_equal(const KVCache& found, const KVCache& expected) {
  ASSERT_EQ(found.groups(0), expected.groups(0));
  for (int64_t group = 0; group < found.groups(0); ++group)
    ASSERT_EQ(found.positions(0, group), expected.positions(0, group)) << "group " << group;
  EXPECT_EQ(found.head_lengths(0), expected.head_lengths(0));
  EXPECT_EQ(found.logit_bias(0), expected.logit_bias(0));
  EXPECT_EQ(found.layout(0), expected.layout(0));
  for (int64_t h = 0; h < 3; ++h) {
    EXPECT_TRUE(found.head_keys(0, h).equal(expected.head_keys(0, h))) << "head " << h;
    EXPECT_TRUE(found.head_values(0, h).equal(expected.head_values(0, h))) << "head " << h;
  }
  const DecodeAttention a = attend(found);
  const DecodeAttention b = attend(expected);
  EXPECT_TRUE(a.output.equal(b.output));
  EXPECT_TRUE(a.weights[0].equal(b.weights[0]));
}

/// Copies of everything that layer 0 holds.
std::vector<at::Tensor> content_of(const KVCache& cache) {
  std::vector<at::Tensor> content;
  for (int64_t h = 0; h < 3; ++h) {
    content.push_back(cache.head_keys(0, h).clone());
    content.push_back(cache.head_values(0, h).clone());
    content.push_back(at::tensor(cache.positions(0, cache.groups(0) == 1 ? 0 : h), at::kLong));
  }
  return content;
}

/// Plans of every kind, from a stream of random numbers.
class RandomPlans {
 public:
  explicit RandomPlans(uint64_t seed) : random_(seed) {}

  int64_t below(int64_t end) {
    return static_cast<int64_t>(random_() % static_cast<uint64_t>(end));
  }

  /// Slots to keep, ascending; now and then in any order, or repeated as some released code does.
  std::vector<int64_t> slots(int64_t length) {
    std::vector<int64_t> kept;
    for (int64_t i = 0; i < length; ++i) {
      if (kept.empty() || below(3) != 0) kept.push_back(i);
    }
    const int64_t kind = below(6);
    if (kind == 0) std::shuffle(kept.begin(), kept.end(), random_);
    if (kind == 1) kept.push_back(kept.front());
    return kept;
  }

  LayerPlan plan(const KVCache& cache, bool by_head) {
    std::vector<std::vector<int64_t>> kept(by_head ? 3 : 1);
    int64_t shortest = cache.head_lengths(0)[0];
    for (const int64_t length : cache.head_lengths(0)) shortest = std::min(shortest, length);
    int64_t most = 0;
    for (size_t g = 0; g < kept.size(); ++g) {
      kept[g] = slots(by_head ? cache.head_lengths(0)[g] : shortest);
      most = std::max(most, std::ssize(kept[g]));
    }
    LayerPlan plan = keep_by_head(kept);
    const auto groups = std::ssize(kept);
    if (below(2) == 0) merge(plan, kept, shortest);
    if (below(4) == 0)
      plan.logit_bias = random_tensor({groups, most}, static_cast<uint64_t>(below(1000)));
    return plan;
  }

  /// Entries that join others before some are evicted.
  StepPlan step(const KVCache& cache, bool by_head) {
    int64_t shortest = cache.head_lengths(0)[0];
    for (const int64_t length : cache.head_lengths(0)) shortest = std::min(shortest, length);
    StepPlan step;
    std::vector<std::vector<int64_t>> anchors(by_head ? 3 : 1);
    for (auto& of_group : anchors) {
      of_group.push_back(below(shortest));
      step.evict.push_back({below(shortest)});
    }
    if (below(2) == 0) {
      step.join = keep_by_head(anchors);
      merge(step.join, anchors, shortest);
    }
    return step;
  }

 private:
  void merge(LayerPlan& plan, const std::vector<std::vector<int64_t>>& kept, int64_t slots) {
    const auto groups = std::ssize(kept);
    const int64_t merges = 1 + below(4);
    plan.source = at::full({groups, merges}, 0, at::kLong);
    plan.anchor = at::full({groups, merges}, 0, at::kLong);
    for (int64_t g = 0; g < groups; ++g) {
      std::vector<int64_t> anchors;
      for (int64_t i = 0; i < merges; ++i)
        anchors.push_back(below(std::ssize(kept[static_cast<size_t>(g)])));
      std::sort(anchors.begin(), anchors.end());
      for (int64_t i = 0; i < merges; ++i) {
        plan.source[g][i].fill_(below(slots));
        plan.anchor[g][i].fill_(anchors[static_cast<size_t>(i)]);
      }
    }
    if (below(2) == 0) plan.source_weight = random_tensor({groups, merges}, 5).abs();
    if (below(2) == 0) plan.anchor_weight = random_tensor(plan.kept.sizes(), 6).abs();
    plan.rule = below(2) == 0 ? LayerPlan::Rule::kMean : LayerPlan::Rule::kSum;
    plan.merge_keys = below(3) != 0;
    plan.key_space =
        below(2) == 0 ? LayerPlan::KeySpace::kRotated : LayerPlan::KeySpace::kUnrotated;
  }

  std::mt19937_64 random_;
};

TEST(SharedEntries, AForkDoesWhatACacheOfItsOwnDoes) {
  const RotaryTable plain(4, RotaryRule{100.0}, 128, at::kCPU);
  const RotaryTable sections(4, RotaryRule{.theta = 100.0, .sections = {1, 1}}, 128, at::kCPU);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomPlans random(seed);
    const RotaryTable& rotary = seed % 5 == 0 ? sections : plain;
    const at::Tensor rotary_positions = at::arange(40, at::kLong).view({2, 20}).remainder(25);
    KVCache prompt = filled(20);
    KVCache alone = filled(20);
    if (seed % 5 == 0) {
      prompt.set_rotary_positions(rotary_positions);
      alone.set_rotary_positions(rotary_positions);
    }
    KVCache sibling = prompt.fork();
    KVCache fork = prompt.fork();
    if (seed % 3 == 0) {
      fork.unrotate_keys(rotary);
      alone.unrotate_keys(rotary);
    }
    if (seed % 2 == 0) {
      for (KVCache* cache : {&fork, &alone}) cache->reserve(Room{3, 12});
    }
    std::vector<KVCache> kept;  // forks of the fork on its way, and what they held then
    std::vector<std::vector<at::Tensor>> contents;
    for (int64_t step = 0; step < 30; ++step) {
      const bool by_head = fork.groups(0) > 1 || random.below(12) == 0;
      switch (random.below(6)) {
        case 0:
        case 1: {
          const at::Tensor keys = random_tensor({2, 3, 4}, 1000 * seed + 2 * step);
          const at::Tensor values = random_tensor({2, 3, 4}, 1000 * seed + 2 * step + 1);
          for (KVCache* cache : {&fork, &alone}) cache->append_row(0, keys, values, 1, 20 + step);
          break;
        }
        case 2: {
          const at::Tensor entries = random_tensor({3, 2, 4}, 1000 * seed + 2 * step);
          for (KVCache* cache : {&fork, &alone})
            cache->append(0, entries, entries * 2, 60 + 2 * step);
          break;
        }
        case 3: {
          const LayerPlan plan = random.plan(fork, by_head);
          for (KVCache* cache : {&fork, &alone}) cache->apply(0, plan, &rotary);
          break;
        }
        case 4: {
          if (*std::min_element(fork.head_lengths(0).begin(), fork.head_lengths(0).end()) < 3)
            break;
          const StepPlan plan = random.step(fork, by_head);
          for (KVCache* cache : {&fork, &alone}) cache->apply(0, plan, &rotary);
          break;
        }
        default:
          if (kept.size() < 4) {
            kept.push_back(fork.fork());
            contents.push_back(content_of(fork));
          }
      }
      expect_equal(fork, alone);
      if (testing::Test::HasFailure()) return;
    }
    for (size_t i = 0; i < kept.size(); ++i) {
      const std::vector<at::Tensor> content = content_of(kept[i]);
      for (size_t h = 0; h < content.size(); ++h)
        EXPECT_TRUE(content[h].equal(contents[i][h])) << "fork " << i;
    }
    // The prompt and its other forks have not changed.
    expect_equal(prompt, filled(20));
    expect_equal(sibling, filled(20));
    if (testing::Test::HasFailure()) return;
  }
}

TEST(SharedEntries, AForkThatEvictsHoldsNothing) {
  CountingAllocator allocator;
  KVCache prompt = filled(100);
  const int64_t whole = allocator.bytes();
  EXPECT_EQ(whole, prompt.allocated_bytes());
  std::vector<KVCache> forks;
  for (int64_t i = 0; i < 20; ++i) {
    KVCache& fork = forks.emplace_back(prompt.fork());
    for (int64_t layer = 0; layer < 2; ++layer) {
      if (i % 2 == 0) {
        fork.apply(layer, keep({3, 4 + i, 90}));
      } else {
        fork.apply(layer, keep_by_head({{1, 2, 3}, {4, 5 + i}, {i}}));
      }
      fork.evict(layer, 0, 1);
    }
    EXPECT_EQ(fork.allocated_bytes(), 0);
  }
  EXPECT_EQ(allocator.bytes(), whole);
  // Each holds what comes, in room that was asked for, however many entries go meanwhile.
  constexpr int64_t kEntry = 2 * 4 * 4;  // bytes of a key and a value
  for (KVCache& fork : forks) {
    fork.reserve(Room{1, 8});
    EXPECT_LE(fork.allocated_bytes(), 2 * 3 * 4 * kEntry);
    const void* before = fork.view(0).keys.const_data_ptr();
    for (int64_t t = 0; t < 8; ++t) {
      for (int64_t layer = 0; layer < 2; ++layer) {
        const at::Tensor entry = random_tensor({3, 1, 4}, 9);
        fork.append(layer, entry, entry, 100 + t);
        for (int64_t group = 0; group < fork.groups(layer); ++group) fork.evict(layer, group, 0);
      }
    }
    EXPECT_EQ(fork.view(0).keys.const_data_ptr(), before);
  }
}

TEST(SharedEntries, AForkOwnsOnlyTheAnchorsThatSomethingJoined) {
  CountingAllocator allocator;
  KVCache prompt = filled(100);
  const int64_t whole = allocator.bytes();
  KVCache fork = prompt.fork();
  {
    LayerPlan plan = keep({0, 10, 20, 30, 40});
    plan.source = at::tensor({11, 12, 41}, at::kLong).view({1, -1});
    plan.anchor = at::tensor({1, 1, 4}, at::kLong).view({1, -1});
    for (int64_t layer = 0; layer < 2; ++layer) fork.apply(layer, plan);
  }
  EXPECT_EQ(fork.allocated_bytes(), 2 * 2 * (2 * 3 * 4 * 4));
  EXPECT_EQ(allocator.bytes(), whole + fork.allocated_bytes());
  EXPECT_EQ(fork.bytes(), 2 * 5 * 3 * 2 * 4 * 4);
}

TEST(SharedEntries, UnrotatedKeysAreMadeOnceForAllForks) {
  const RotaryTable rotary(4, RotaryRule{100.0}, 128, at::kCPU);
  CountingAllocator allocator;
  KVCache prompt = filled(100);
  const int64_t whole = allocator.bytes();
  std::vector<KVCache> forks;
  for (int64_t i = 0; i < 5; ++i) {
    forks.push_back(prompt.fork());
    forks.back().unrotate_keys(rotary);
    forks.back().apply(0, keep({1, 2, 3}));
  }
  EXPECT_EQ(allocator.bytes(), whole + whole / 2);
  EXPECT_EQ(forks[0].view(0).prompt_keys.const_data_ptr(),
            forks[4].view(0).prompt_keys.const_data_ptr());
  EXPECT_FALSE(forks[0].view(0).prompt_keys.equal(prompt.view(0).keys));
}

TEST(SharedEntries, ABigRebuildFreesWhatItLeaves) {
  CountingAllocator allocator;
  KVCache prompt = filled(10);
  const int64_t whole = allocator.bytes();
  KVCache fork = prompt.fork();
  {
    const at::Tensor entries = random_tensor({3, 500, 4}, 1);
    fork.append(0, entries, entries, 10);
  }
  EXPECT_GE(allocator.bytes() - whole, 500 * 3 * 2 * 4 * 4);
  fork.apply(0, keep({0, 5, 400}));
  EXPECT_EQ(allocator.bytes() - whole, 1 * 3 * 2 * 4 * 4);
  EXPECT_EQ(fork.positions(0), (std::vector<int64_t>{0, 5, 400}));
}

}  // namespace
}  // namespace elastikv
