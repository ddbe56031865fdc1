#include "sweep/rank_plan.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

namespace elastikv {
namespace {

/// The units of each model, the longest first, and how many of them are taken.
struct Lists {
  std::vector<std::vector<double>> seconds;
  std::vector<size_t> taken;
  std::vector<double> left;

  explicit Lists(std::span<const PlannedUnit> units) {
    for (const PlannedUnit& unit : units) {
      seconds.resize(std::max(seconds.size(), unit.model + 1));
      seconds[unit.model].push_back(unit.seconds);
    }
    for (std::vector<double>& list : seconds) {
      std::sort(list.begin(), list.end(), std::greater<>());
      left.push_back(std::accumulate(list.begin(), list.end(), 0.0));
    }
    taken.resize(seconds.size());
  }
  bool has(size_t model) const { return taken[model] < seconds[model].size(); }
  /// Where most is left; nothing when all is taken.
  std::optional<size_t> most() const {
    std::optional<size_t> best;
    for (size_t model = 0; model < seconds.size(); ++model) {
      if (has(model) && (!best || left[model] > left[*best])) best = model;
    }
    return best;
  }
};

}  // namespace

double planned_seconds(std::span<const PlannedUnit> units, int64_t ranks) {
  Lists lists(units);
  const double all = std::accumulate(lists.left.begin(), lists.left.end(), 0.0);
  std::vector<size_t> models;
  for (int64_t rank = 0; rank < ranks && !lists.left.empty(); ++rank) {
    double place = (static_cast<double>(rank) + 0.5) / static_cast<double>(ranks) * all;
    size_t model = 0;
    while (model + 1 < lists.left.size() && place >= lists.left[model])
      place -= lists.left[model++];
    models.push_back(model);
  }
  // Who is free when, the earliest first.
  using Free = std::pair<double, size_t>;
  std::priority_queue<Free, std::vector<Free>, std::greater<>> free;
  for (size_t rank = 0; rank < models.size(); ++rank) free.emplace(0.0, rank);
  double end = 0;
  while (!free.empty()) {
    const auto [now, rank] = free.top();
    free.pop();
    end = std::max(end, now);
    if (!lists.has(models[rank])) {
      const std::optional<size_t> other = lists.most();
      if (!other) continue;
      models[rank] = *other;
    }
    const size_t model = models[rank];
    const double seconds = lists.seconds[model][lists.taken[model]++];
    lists.left[model] -= seconds;
    free.emplace(now + seconds, rank);
  }
  return end;
}

}  // namespace elastikv
