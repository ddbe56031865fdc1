#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sweep/rank_store.h"

namespace elastikv {

// The keys of SharedWork in the store, and what rank 0 does with them.

namespace work_keys {

inline constexpr const char* kOpen = "-";  // value of a unit that nobody has
inline constexpr const char* kDone = "d";
inline constexpr const char* kDoneUnits = "done";
inline constexpr const char* kFreed = "freed";  // units that were offered again: "12,7,"
inline constexpr const char* kStopped = "stopped";
inline constexpr const char* kLeft = "left";
std::string unit(size_t number);
std::string next(size_t model);
/// "INCARNATION:COUNT" while the rank lives, "left" when it has ended in order.
std::string life(int64_t rank);

}  // namespace work_keys

/// Finds units that are not done though nobody works on them, and offers them again.
class RankWatch final {
 public:
  using Clock = std::chrono::steady_clock;

  /// `lists`: by model, the units in the order in which they are drawn.
  RankWatch(int64_t world, std::vector<std::vector<size_t>> lists,
            std::chrono::milliseconds lost_after, Clock::time_point now);

  /// Looks once. What ranks show is compared with what they showed the last time, by this clock
  /// alone; after a look that came late everybody has all the time again.
  void look(RankStore& store, Clock::time_point now);

  int64_t alive() const { return alive_; }
  /// Every rank but 0 has left, is lost, or has not come in all the time.
  bool others_gone() const;

 private:
  struct Rank {
    std::string shown;  // of its last sign
    std::string incarnation;
    Clock::time_point since;
    bool came = false;
    bool left = false;
    bool lost = false;
  };
  struct Held {
    std::string name;  // of the rank, or kOpen
    Clock::time_point since;
  };

  void look_at_ranks(RankStore& store, Clock::time_point now);
  void look_at_units(RankStore& store, Clock::time_point now);
  bool works(const std::string& name) const;

  std::vector<std::vector<size_t>> lists_;
  std::chrono::milliseconds lost_after_;
  std::vector<Rank> ranks_;
  std::vector<size_t> seen_;     // by model, how many of its list were drawn at the last look
  std::map<size_t, Held> held_;  // drawn and not done
  Clock::time_point last_look_;
  int64_t alive_ = 1;
};

}  // namespace elastikv
