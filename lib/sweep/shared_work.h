#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sweep/rank_store.h"

namespace elastikv {

/// What a rank takes at a time: a sample of one model and data set, in all cells.
struct WorkUnit {
  size_t model = 0;  // ranks keep to one of them while it has units that nobody has taken
  double cost = 0;   // against the others'; big ones are taken first
};

/// How ranks find out that one of them is lost.
struct RankTiming {
  /// A rank that gives no sign of life for so long is taken for lost, and its unit is given to
  /// another one. It gives six in that time.
  std::chrono::milliseconds lost_after{30000};
  /// Between two looks of a rank that waits for others; by default it grows with their number, so
  /// that thousands of them do not keep the store from answering.
  std::optional<std::chrono::milliseconds> pause = {};
};

/// The units of a sweep, shared out among ranks as they become free.
///
/// All ranks know the same units by the same numbers. A rank draws the next number of its model's
/// list from a counter in the store and then puts its name on that unit, if nobody else has by now;
/// the name is replaced by a mark when the unit is done. Rank 0 watches the names of units that are
/// not done: those of ranks whose signs of life have stopped, and those that were drawn but never
/// named, are offered again. So each unit is done at least once, whichever ranks end when, but for
/// rank 0; and twice only where a rank is slow to show that it lives.
class SharedWork final {
 public:
  /// `rank` of `world`. Signs of life begin at once, from a thread of its own.
  SharedWork(RankStore& store, int64_t rank, int64_t world, const RankTiming& timing);
  ~SharedWork();
  SharedWork(const SharedWork&) = delete;
  SharedWork& operator=(const SharedWork&) = delete;

  /// Of rank 0, before anybody takes one: the units, and which of them are to be done. From here on
  /// it watches.
  void offer(std::vector<WorkUnit> units, const std::vector<bool>& open);
  /// Of any other rank: whether rank 0 has offered its units by now.
  bool offered();
  /// Then: takes part in them. They are those of rank 0, in the same order.
  void join(std::vector<WorkUnit> units);

  /// The next unit for this rank. Waits while others hold the last ones, which may come back; calls
  /// `while_waiting` now and then. Nothing when all are done, or after stop().
  std::optional<size_t> take(const std::function<void()>& while_waiting = {});
  /// The unit's records are on the disk.
  void done(size_t unit);
  /// The unit will not be done by this rank.
  void give_back(size_t unit);

  /// Ends the work of all ranks; the first reason stays.
  void stop(const std::string& reason);
  /// Why it was ended; empty: it was not. As known at the last sign of life, without a question.
  std::string stopped() const;

  /// This rank is about to end in order, and holds nothing.
  void leave();
  /// Of rank 0, which ends last: waits until the others have left or are lost, or `enough` says so.
  void wait_for_others(const std::function<bool()>& enough = {});

  int64_t total() const { return total_; }
  /// Units that are done, and ranks that live, as known at the last sign of life.
  int64_t done_units() const { return done_; }
  int64_t alive() const { return alive_; }
  /// Questions to the store that take() and done() have asked, and the seconds that take() waited
  /// for others.
  int64_t questions() const { return questions_; }
  double waited_seconds() const { return waited_; }

 private:
  class Watch;

  void show_life();
  void list(const std::vector<bool>& open);
  std::optional<size_t> take_fresh();
  std::optional<size_t> take_freed();
  bool name(size_t unit);
  bool choose_model();
  std::chrono::milliseconds pause() const;
  std::string own_name() const;

  RankStore& store_;
  int64_t rank_;
  int64_t world_;
  std::vector<WorkUnit> units_;
  RankTiming timing_;
  int64_t incarnation_ = 1;  // how often a process has come as this rank

  std::vector<std::vector<size_t>> lists_;         // by model, the open units in their order
  std::vector<std::vector<double>> costs_behind_;  // [model][place]: of that one and all after it
  std::optional<size_t> model_;
  size_t freed_read_ = 0;  // bytes of the list of units that were offered again

  std::unique_ptr<Watch> watch_;
  std::atomic<bool> joined_ = false;
  std::atomic<int64_t> total_ = 0;
  std::atomic<int64_t> done_ = 0;
  std::atomic<int64_t> alive_ = 1;
  std::atomic<int64_t> questions_ = 0;
  double waited_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable ending_;
  bool ended_ = false;
  std::string stopped_;
  std::thread thread_;
};

}  // namespace elastikv
