// What a layer tells of its slots: carried out elsewhere it must give the same slots.
#include <cstdint>
#include <random>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "cache/kv_cache.h"
#include "caches.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

/// A follower's picture of one group of slots.
struct Followed {
  std::vector<int32_t> places;
  std::vector<int64_t> distances;

  void carry_out(const SlotChange& change) {
    if (change.place == SlotChange::kRemoved) {
      const int64_t gone = distances[static_cast<size_t>(change.slot)];
      places[static_cast<size_t>(change.slot)] = places.back();
      distances[static_cast<size_t>(change.slot)] = distances.back();
      places.pop_back();
      distances.pop_back();
      for (int64_t& distance : distances) distance -= distance > gone ? 1 : 0;
    } else if (change.slot == SlotChange::kNewSlot) {
      places.push_back(change.place);
      for (int64_t& distance : distances) ++distance;
      distances.push_back(0);
    } else {
      places[static_cast<size_t>(change.slot)] = change.place;
    }
  }
};

Followed picture_of(const KVCache& cache, int64_t group) {
  return {of_head(*cache.view(0).places, group), cache.rank_distances(0, group)};
}

void append(KVCache& cache, int64_t token) {
  const at::Tensor entry = random_tensor({1, 3, 4}, static_cast<uint64_t>(token));
  for (int64_t layer = 0; layer < 2; ++layer) cache.append_row(layer, entry, entry, 0, token);
}

/// What cache_test's forks of 12 tokens tell, of all heads together or each by itself.
class SlotJournals : public testing::TestWithParam<bool> {
 protected:
  SlotJournals() : prompt_(filled(12)), cache_(prompt_.fork()) {
    cache_.reserve(Room{64, 64});
    cache_.apply(0, GetParam() ? keep_by_head({{0, 3, 4, 9}, {1, 2}, {5, 6, 7, 8, 11}})
                               : keep({0, 2, 4, 6, 7, 11}));
    append(cache_, 12);
    cache_.begin_journal(0);
    for (int64_t group = 0; group < cache_.groups(0); ++group)
      followed_.push_back(picture_of(cache_, group));
  }

  void expect_followed() {
    ASSERT_TRUE(cache_.journal(0).complete);
    for (size_t g = 0; g < followed_.size(); ++g) {
      for (const SlotChange& change : cache_.journal(0).changes[g]) followed_[g].carry_out(change);
      const Followed expected = picture_of(cache_, static_cast<int64_t>(g));
      EXPECT_EQ(followed_[g].places, expected.places) << "group " << g;
      EXPECT_EQ(followed_[g].distances, expected.distances) << "group " << g;
    }
    cache_.begin_journal(0);
  }

  KVCache prompt_;
  KVCache cache_;
  std::vector<Followed> followed_;
};

TEST_P(SlotJournals, TellWhatIsAppendedEvictedAndJoined) {
  std::mt19937 random(5);
  for (int64_t token = 13; token < 60; ++token) {
    append(cache_, token);
    StepPlan plan;
    std::vector<std::vector<int64_t>> anchors;
    for (int64_t group = 0; group < cache_.groups(0); ++group) {
      const int64_t length = cache_.length(0, group);
      const auto gone = static_cast<int64_t>(random() % static_cast<uint64_t>(length));
      plan.evict.push_back(length < 4 ? std::vector<int64_t>{} : std::vector<int64_t>{gone});
      anchors.push_back({(gone + 1) % length});
    }
    if (token % 2 == 0) {
      plan.join = keep_by_head(anchors);
      plan.join.source = keep_by_head(plan.evict).kept.clamp_min(0);
      plan.join.anchor = at::zeros_like(plan.join.kept);
    }
    cache_.apply(0, plan);
    if (token % 3 == 0) expect_followed();
  }
  expect_followed();
}

INSTANTIATE_TEST_SUITE_P(Groups, SlotJournals, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                           return info.param ? "ByHead" : "Together";
                         });

TEST(SlotJournal, EndsWhereSlotsAreChosenAnewOrMoved) {
  KVCache prompt = filled(12);
  KVCache cache = prompt.fork();
  EXPECT_FALSE(cache.journal(0).complete);
  const auto ends = [&](const char* what, const auto& change) {
    cache.begin_journal(0);
    EXPECT_TRUE(cache.journal(0).complete);
    change();
    EXPECT_FALSE(cache.journal(0).complete) << what;
  };
  ends("the first change after a fork", [&] { cache.evict(0, 0, 3); });
  ends("a plan", [&] { cache.apply(0, keep({0, 1, 4, 5})); });
  append(cache, 12);
  ends("storage that grows", [&] {
    for (int64_t token = 13; token < 60; ++token) append(cache, token);
  });
  ends("heads that part", [&] {
    StepPlan plan;
    plan.evict = {{0}, {1}, {2}};
    cache.apply(0, plan);
  });
  cache.begin_journal(0);
  EXPECT_FALSE(cache.fork().journal(0).complete);
  EXPECT_TRUE(cache.journal(0).complete);
}

TEST(SlotJournal, UnwrittenEntriesTakeTheSlotsOfWrittenOnes) {
  KVCache prompt = filled(6);
  KVCache written = prompt.fork();
  KVCache unwritten = prompt.fork();
  const at::Tensor entries = random_tensor({3, 2, 4}, 1);
  written.append(0, entries, entries, 6);
  unwritten.append_unwritten(0, 6, 2);
  EXPECT_EQ(unwritten.positions(0), written.positions(0));
  EXPECT_EQ(*unwritten.view(0).places, *written.view(0).places);
  EXPECT_EQ(unwritten.head_lengths(0), written.head_lengths(0));
}

}  // namespace
}  // namespace elastikv
