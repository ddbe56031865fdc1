// What sharing a sweep out costs: so many ranks, each a thread with connections of its own, whose
// samples take simulated time (they sleep), ask a real store (c10d::TCPStore) on this machine.
//   build/release/bin/rank_claims RANKS SAMPLES_PER_RANK SECONDS_PER_SAMPLE
// prints one row of the table in docs/ranks.md. Lengths of samples are lognormal: the longest takes
// about eight times the median.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "sweep/rank_place.h"
#include "sweep/rank_store.h"
#include "sweep/shared_work.h"

namespace elastikv {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Sums {
  std::mutex mutex;
  double asking = 0;   // seconds within take() and done() without waiting for others
  double waiting = 0;  // seconds at the end, until the last rank is done
  double working = 0;
  int64_t questions = 0;
  std::vector<double> ends;
};

void work(SharedWork& shared, const std::vector<WorkUnit>& units, Clock::time_point begin,
          Sums& sums) {
  double asking = 0;
  double working = 0;
  while (true) {
    const auto asked = Clock::now();
    const double waited = shared.waited_seconds();
    const std::optional<size_t> unit = shared.take();
    asking += seconds_since(asked) - (shared.waited_seconds() - waited);
    if (!unit) break;
    std::this_thread::sleep_for(std::chrono::duration<double>(units[*unit].cost));
    working += units[*unit].cost;
    const auto told = Clock::now();
    shared.done(*unit);
    asking += seconds_since(told);
  }
  const std::lock_guard<std::mutex> lock(sums.mutex);
  sums.asking += asking;
  sums.waiting += shared.waited_seconds();
  sums.working += working;
  sums.questions += shared.questions();
  sums.ends.push_back(seconds_since(begin) - shared.waited_seconds());
}

int run(int64_t ranks, int64_t samples_per_rank, double seconds) {
  RankPlace place;
  place.world = ranks;
  place.address = "127.0.0.1";
  place.port = 15000 + getpid() % 17000;
  place.run = "benchmark";
  std::vector<WorkUnit> units(static_cast<size_t>(ranks * samples_per_rank));
  std::mt19937_64 generator(7);
  std::lognormal_distribution<double> length(0.0, 0.5);
  for (WorkUnit& unit : units) unit.cost = seconds * length(generator);

  const RankTiming timing{std::chrono::seconds(60), {}};
  const auto store = RankStore::connect(place);
  SharedWork first(*store, 0, ranks, timing);
  std::vector<std::unique_ptr<RankStore>> connections;
  std::vector<std::unique_ptr<SharedWork>> others;
  const auto connecting = Clock::now();
  for (int64_t rank = 1; rank < ranks; ++rank) {
    connections.push_back(store->another());
    others.push_back(std::make_unique<SharedWork>(*connections.back(), rank, ranks, timing));
  }
  const double connected = seconds_since(connecting);
  first.offer(units, std::vector<bool>(units.size(), true));
  Sums sums;
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (const auto& other : others) {
    threads.emplace_back([&, shared = other.get()] {
      shared->join(units);
      work(*shared, units, begin, sums);
    });
  }
  work(first, units, begin, sums);
  for (std::thread& thread : threads) thread.join();
  const double all = seconds_since(begin);
  const double ideal = sums.working / static_cast<double>(ranks);
  fmt::print(
      "| ranks | samples | seconds each | claims/s | questions per sample | ms per sample asking | "
      "asking | waiting | took, against ideal | connecting |\n"
      "| {} | {} | {:.3g} | {:.0f} | {:.2f} | {:.2f} | {:.2f} % | {:.1f} % | {:.1f} s, {:.1f} s | "
      "{:.1f} s |\n",
      ranks, units.size(), sums.working / static_cast<double>(units.size()),
      static_cast<double>(units.size()) / *std::max_element(sums.ends.begin(), sums.ends.end()),
      static_cast<double>(sums.questions) / static_cast<double>(units.size()),
      1000 * sums.asking / static_cast<double>(units.size()),
      100 * sums.asking / (all * static_cast<double>(ranks)),
      100 * sums.waiting / (all * static_cast<double>(ranks)), all, ideal, connected);
  return 0;
}

}  // namespace
}  // namespace elastikv

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: rank_claims RANKS SAMPLES_PER_RANK SECONDS_PER_SAMPLE\n");
    return 1;
  }
  try {
    return elastikv::run(std::atoll(argv[1]), std::atoll(argv[2]), std::atof(argv[3]));
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
