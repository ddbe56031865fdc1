#include "sweep/rank_watch.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/fields.h"

namespace elastikv {

namespace work_keys {

std::string unit(size_t number) { return fmt::format("unit/{}", number); }
std::string next(size_t model) { return fmt::format("next/{}", model); }
std::string life(int64_t rank) { return fmt::format("life/{}", rank); }

}  // namespace work_keys

RankWatch::RankWatch(int64_t world, std::vector<std::vector<size_t>> lists,
                     std::chrono::milliseconds lost_after, Clock::time_point now)
    : lists_(std::move(lists)),
      lost_after_(lost_after),
      ranks_(static_cast<size_t>(world)),
      seen_(lists_.size()),
      last_look_(now) {
  for (Rank& rank : ranks_) rank.since = now;
}

void RankWatch::look(RankStore& store, Clock::time_point now) {
  // This process was stopped, or its machine slept: nothing is known of that time.
  if (now - last_look_ > lost_after_ / 2) {
    for (Rank& rank : ranks_) rank.since = now;
    for (auto& [unit, held] : held_) held.since = now;
  }
  last_look_ = now;
  look_at_ranks(store, now);
  look_at_units(store, now);
}

void RankWatch::look_at_ranks(RankStore& store, Clock::time_point now) {
  std::vector<std::string> keys;
  for (size_t rank = 0; rank < ranks_.size(); ++rank)
    keys.push_back(work_keys::life(static_cast<int64_t>(rank)));
  const std::vector<std::string> shown = store.get_all(keys);
  alive_ = 0;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    Rank& rank = ranks_[i];
    if (shown[i] != rank.shown) {
      rank.shown = shown[i];
      rank.since = now;
      rank.came = !shown[i].empty();
      rank.left = shown[i] == work_keys::kLeft;
      rank.incarnation = shown[i].substr(0, shown[i].find(':'));
    }
    rank.lost = !rank.left && now - rank.since > lost_after_;
    alive_ += rank.came && !rank.left && !rank.lost ? 1 : 0;
  }
}

bool RankWatch::works(const std::string& name) const {
  const size_t point = name.find('.');
  int64_t number = -1;
  if (point == std::string::npos || !parse_int(name.substr(0, point), number)) return false;
  if (number < 0 || static_cast<size_t>(number) >= ranks_.size()) return false;
  const Rank& rank = ranks_[static_cast<size_t>(number)];
  return !rank.left && !rank.lost && name.substr(point + 1) == rank.incarnation;
}

void RankWatch::look_at_units(RankStore& store, Clock::time_point now) {
  std::vector<std::string> counters;
  for (size_t model = 0; model < lists_.size(); ++model) counters.push_back(work_keys::next(model));
  const std::vector<std::string> drawn = store.get_all(counters);
  for (size_t model = 0; model < lists_.size(); ++model) {
    int64_t count = 0;
    parse_int(drawn[model], count);
    const size_t end =
        std::min(lists_[model].size(), static_cast<size_t>(std::max<int64_t>(0, count)));
    for (; seen_[model] < end; ++seen_[model])
      held_[lists_[model][seen_[model]]] = {work_keys::kOpen, now};
  }
  std::vector<size_t> units;
  std::vector<std::string> keys;
  for (const auto& [unit, held] : held_) {
    units.push_back(unit);
    keys.push_back(work_keys::unit(unit));
  }
  const std::vector<std::string> names = store.get_all(keys);
  for (size_t i = 0; i < units.size(); ++i) {
    if (names[i] == work_keys::kDone) {
      held_.erase(units[i]);
      continue;
    }
    Held& held = held_.at(units[i]);
    if (names[i] != held.name) held = {names[i], now};
    if (names[i] == work_keys::kOpen) {
      // Drawn, but its rank ended before it put its name there; or offered, and nobody has come
      // for it.
      if (now - held.since <= lost_after_) continue;
    } else {
      if (works(names[i])) continue;
      // It may have been done at the last moment.
      if (store.compare_set(keys[i], names[i], work_keys::kOpen) != work_keys::kOpen) continue;
    }
    held = {work_keys::kOpen, now};
    store.append(work_keys::kFreed, fmt::format("{},", units[i]));
  }
}

bool RankWatch::others_gone() const {
  return std::all_of(ranks_.begin() + 1, ranks_.end(),
                     [](const Rank& rank) { return rank.left || rank.lost; });
}

}  // namespace elastikv
