#include "metrics/relative_score.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <vector>

#include "base/error.h"

namespace elastikv {
namespace {

/// A resample's standard error counts as at least this share of the observed one.
constexpr double kLeastError = 0.25;

/// One task's ratio, and by how much it and its squared error vary.
struct TaskRatio {
  double ratio = 0;
  std::optional<double> squared_error;
  std::vector<double> shifts = {};          // [replicates] of the ratio
  std::vector<double> squared_errors = {};  // [replicates]
};

std::vector<double> times(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> products(a.size());
  std::transform(a.begin(), a.end(), b.begin(), products.begin(), std::multiplies<>());
  return products;
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

void resample_task(const std::vector<double>& rest, const std::vector<double>& full, double factor,
                   const Bootstrap& bootstrap, TaskRatio& task) {
  const std::vector<double> rest_rest = times(rest, rest);
  const std::vector<double> rest_full = times(rest, full);
  const std::vector<double> full_full = times(full, full);
  const std::array<std::span<const double>, 5> columns{rest, full, rest_rest, rest_full, full_full};
  const auto sums = bootstrap.resampled_sums(columns);
  for (size_t i = 0; i < sums[0].size(); ++i) {
    const double total = sums[1][i];
    if (total == 0) {
      // Only samples that the full cache has wrong were drawn: nothing is known of a ratio.
      task.shifts.push_back(0);
      task.squared_errors.push_back(*task.squared_error);
      continue;
    }
    const double shift = sums[0][i] / total;
    const double squares = sums[2][i] - 2 * shift * sums[3][i] + shift * shift * sums[4][i];
    const double error = factor * std::sqrt(std::max(squares, 0.0)) / total;
    task.shifts.push_back(shift);
    task.squared_errors.push_back(error * error);
  }
}

/// Absent where the full cache scores 0.
std::optional<TaskRatio> ratio_of(const PairedValues& pair, const Bootstrap& bootstrap) {
  ELASTIKV_ASSERT(pair.weights.empty(), "a score relative to the full cache is of a mean");
  const std::vector<double> ours = pair.clusters.sums(pair.a);
  const std::vector<double> full = pair.clusters.sums(pair.b);
  const double total = sum(full);
  if (total == 0) return std::nullopt;
  TaskRatio task;
  task.ratio = sum(ours) / total;
  const auto units = static_cast<double>(full.size());
  if (units < 2) return task;
  std::vector<double> rest(full.size());
  for (size_t i = 0; i < full.size(); ++i) rest[i] = ours[i] - task.ratio * full[i];
  const double factor = std::sqrt(units / (units - 1));
  const double error = factor * std::sqrt(sum(times(rest, rest))) / total;
  task.squared_error = error * error;
  resample_task(rest, full, factor, bootstrap, task);
  return task;
}

}  // namespace

std::optional<RelativeScore> relative_score(std::span<const PairedValues> tasks,
                                            const Bootstrap& bootstrap) {
  return RelativeScores(bootstrap).of(tasks);
}

std::optional<RelativeScore> RelativeScores::of(std::span<const PairedValues> tasks) {
  while (own_.size() < tasks.size()) own_.emplace_back(replicates_, seed_ + own_.size());
  std::vector<TaskRatio> ratios;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (auto ratio = ratio_of(tasks[i], own_[i])) ratios.push_back(std::move(*ratio));
  }
  if (ratios.empty()) return std::nullopt;
  const auto count = static_cast<double>(ratios.size());
  RelativeScore found;
  found.tasks = static_cast<int64_t>(ratios.size());
  double squares = 0;
  bool known = true;
  for (const TaskRatio& task : ratios) {
    found.score += task.ratio / count;
    known = known && task.squared_error.has_value();
    squares += task.squared_error.value_or(0);
  }
  if (!known) return found;
  const double error = std::sqrt(squares) / count;
  found.standard_error = error;
  found.interval = Interval{found.score, found.score};
  if (error <= 1e-13) return found;
  std::vector<double> pivots(static_cast<size_t>(replicates_));
  for (size_t i = 0; i < pivots.size(); ++i) {
    double shift = 0;
    double own = 0;
    for (const TaskRatio& task : ratios) {
      shift += task.shifts[i] / count;
      own += task.squared_errors[i];
    }
    pivots[i] = shift / std::max(std::sqrt(own) / count, kLeastError * error);
  }
  found.interval->low = std::max(0.0, found.score - percentile(pivots, 0.975) * error);
  found.interval->high = found.score - percentile(pivots, 0.025) * error;
  return found;
}

}  // namespace elastikv
