#include "sweep/shared_work.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "sweep/rank_watch.h"

namespace elastikv {
namespace {

using std::chrono::milliseconds;

/// Short, and long against what a busy machine takes from a thread.
constexpr RankTiming kQuick{milliseconds(1500), milliseconds(5)};
constexpr RankTiming kPatient{milliseconds(600000), milliseconds(5)};

std::vector<WorkUnit> units_of(const std::vector<std::vector<double>>& costs) {
  std::vector<WorkUnit> units;
  for (size_t model = 0; model < costs.size(); ++model) {
    for (const double cost : costs[model]) units.push_back({model, cost});
  }
  return units;
}

/// One rank among others in this process.
struct Rank {
  Rank(const RankStore& store, int64_t rank, int64_t world, std::vector<WorkUnit> all,
       const RankTiming& timing = kPatient)
      : units(std::move(all)),
        connection(store.another()),
        work(*connection, rank, world, timing) {}

  void offer(const std::vector<bool>& open) { work.offer(units, open); }
  bool join() {
    if (!work.offered()) return false;
    work.join(units);
    return true;
  }

  std::vector<WorkUnit> units;

  std::unique_ptr<RankStore> connection;
  SharedWork work;
};

TEST(SharedWork, OneRankTakesTheBiggestFirstAndKeepsToAModel) {
  const auto store = RankStore::in_process();
  const auto units = units_of({{1, 5, 3}, {2, 9, 0, 0}});
  Rank rank(*store, 0, 1, units);
  std::vector<bool> open(units.size(), true);
  open[4] = false;  // done before
  rank.offer(open);
  EXPECT_EQ(rank.work.total(), 6);
  std::vector<size_t> order;
  while (const auto unit = rank.work.take()) {
    order.push_back(*unit);
    rank.work.done(*unit);
  }
  EXPECT_EQ(order, (std::vector<size_t>{1, 2, 0, 3, 5, 6}));
  EXPECT_EQ(rank.work.done_units(), 6);
}

TEST(SharedWork, RanksAreSpreadOverModelsByWhatThereIsToDo) {
  const auto store = RankStore::in_process();
  const auto units = units_of({std::vector<double>(20, 4), std::vector<double>(20, 1)});
  std::vector<std::unique_ptr<Rank>> ranks;
  std::vector<size_t> models(2);
  for (int64_t i = 0; i < 5; ++i) {
    ranks.push_back(std::make_unique<Rank>(*store, i, 5, units));
    if (i == 0) ranks[0]->offer(std::vector<bool>(units.size(), true));
    if (i > 0) {
      EXPECT_TRUE(ranks.back()->join());
    }
    ++models[units[ranks.back()->work.take().value()].model];
  }
  EXPECT_EQ(models, (std::vector<size_t>{4, 1}));
}

TEST(SharedWork, EveryUnitIsDoneOnceWhenAllRanksLive) {
  const auto store = RankStore::in_process();
  const auto units = units_of({std::vector<double>(150, 1), std::vector<double>(70, 2)});
  Rank first(*store, 0, 8, units);
  first.offer(std::vector<bool>(units.size(), true));
  std::mutex mutex;
  std::multiset<size_t> taken;
  const auto run = [&](SharedWork& work) {
    while (const auto unit = work.take()) {
      {
        const std::lock_guard<std::mutex> lock(mutex);
        taken.insert(*unit);
      }
      work.done(*unit);
    }
  };
  std::vector<std::thread> threads;
  for (int64_t rank = 1; rank < 8; ++rank) {
    threads.emplace_back([&, rank] {
      Rank one(*store, rank, 8, units);
      EXPECT_TRUE(one.join());
      run(one.work);
      one.work.leave();
    });
  }
  run(first.work);
  first.work.wait_for_others();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken.size(), units.size());
  EXPECT_EQ(std::set<size_t>(taken.begin(), taken.end()).size(), units.size());
  EXPECT_EQ(first.work.done_units(), 220);
}

TEST(SharedWork, ALostRanksUnitIsTakenByAnotherAndCountsOnce) {
  const auto store = RankStore::in_process();
  const auto units = units_of({{3, 2, 1}});
  Rank first(*store, 0, 3, units, kQuick);
  first.offer(std::vector<bool>(3, true));
  auto lost = std::make_unique<Rank>(*store, 1, 3, units, kQuick);
  ASSERT_TRUE(lost->join());
  EXPECT_EQ(lost->work.take(), 0U);
  // Drawn and never named: it ended between the two.
  EXPECT_EQ(store->another()->add(work_keys::next(0), 1), 2);
  lost.reset();  // without a word
  std::vector<size_t> order;
  while (const auto unit = first.work.take()) {
    order.push_back(*unit);
    first.work.done(*unit);
  }
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(first.work.done_units(), 3);
  // It was only slow: what it did counts no more.
  Rank slow(*store, 1, 3, units, kQuick);
  ASSERT_TRUE(slow.join());
  slow.work.done(0);
  EXPECT_EQ(store->get(work_keys::kDoneUnits), "3");
  slow.work.leave();
  first.work.wait_for_others();  // rank 2 has never come
}

TEST(SharedWork, WhatIsGivenBackIsTakenAtOnce) {
  const auto store = RankStore::in_process();
  const auto units = units_of({{3, 2}});
  Rank first(*store, 0, 2, units);
  first.offer(std::vector<bool>(2, true));
  Rank other(*store, 1, 2, units);
  ASSERT_TRUE(other.join());
  EXPECT_EQ(other.work.take(), 0U);
  EXPECT_EQ(first.work.take(), 1U);
  first.work.done(1);
  other.work.give_back(0);
  other.work.leave();
  EXPECT_EQ(first.work.take(), 0U);
  first.work.done(0);
  EXPECT_EQ(first.work.take(), std::nullopt);
  first.work.wait_for_others();
}

TEST(SharedWork, ARankThatComesAgainFindsItsUnitFreed) {
  const auto store = RankStore::in_process();
  const auto units = units_of({{1}});
  Rank first(*store, 0, 2, units, kQuick);
  first.offer({true});
  auto killed = std::make_unique<Rank>(*store, 1, 2, units, kQuick);
  ASSERT_TRUE(killed->join());
  EXPECT_EQ(killed->work.take(), 0U);
  killed.reset();
  Rank again(*store, 1, 2, units, kQuick);
  ASSERT_TRUE(again.join());
  EXPECT_EQ(again.work.take(), 0U);
  again.work.done(0);
  EXPECT_EQ(first.work.take(), std::nullopt);
}

TEST(SharedWork, StoppingEndsAllWithTheFirstReason) {
  const auto store = RankStore::in_process();
  const auto units = units_of({std::vector<double>(10, 1)});
  Rank first(*store, 0, 2, units, kQuick);
  first.offer(std::vector<bool>(10, true));
  Rank other(*store, 1, 2, units, kQuick);
  ASSERT_TRUE(other.join());
  EXPECT_TRUE(first.work.take());
  other.work.stop("enough");
  other.work.stop("too much");
  EXPECT_EQ(other.work.take(), std::nullopt);
  while (first.work.stopped().empty()) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(first.work.stopped(), "enough");
  EXPECT_EQ(first.work.take(), std::nullopt);
}

TEST(RankWatch, ALookThatComesLateGivesEverybodyTime) {
  const auto store = RankStore::in_process();
  store->set_all({{work_keys::life(0), "1:1"},
                  {work_keys::life(1), "1:1"},
                  {work_keys::next(0), "1"},
                  {work_keys::unit(0), "1.1"},
                  {work_keys::kFreed, ""}});
  const RankWatch::Clock::time_point start{};
  RankWatch watch(2, {{0}}, milliseconds(1000), start);
  watch.look(*store, start + milliseconds(100));
  EXPECT_EQ(watch.alive(), 2);
  // This process was stopped meanwhile, as the other one may have been.
  watch.look(*store, start + milliseconds(5000));
  EXPECT_EQ(watch.alive(), 2);
  EXPECT_EQ(store->get(work_keys::unit(0)), "1.1");
  store->set(work_keys::life(0), "1:2");
  for (int at = 5200; at <= 6400; at += 200) watch.look(*store, start + milliseconds(at));
  EXPECT_EQ(watch.alive(), 0);
  EXPECT_EQ(store->get(work_keys::unit(0)), work_keys::kOpen);
  EXPECT_EQ(store->get(work_keys::kFreed), "0,");
}

TEST(RankStore, SaysWithinHalfAMinuteWhatCannotBeReached) {
  RankPlace place;
  place.rank = 1;
  place.world = 2;
  place.address = "127.0.0.1";
  place.port = 9;  // discard: nobody is there
  const auto begin = std::chrono::steady_clock::now();
  try {
    RankStore::connect(place);
    ADD_FAILURE();
  } catch (const std::exception& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("the store of the sweep's ranks at 127.0.0.1:9 (MASTER_ADDR, MASTER_PORT) "
                        "cannot be reached: "),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

}  // namespace
}  // namespace elastikv
