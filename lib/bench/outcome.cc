#include "bench/outcome.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace elastikv {
namespace {

/// A figure of every run.
template <typename Figure>
Spread over_runs(const std::vector<BenchRun>& runs, Figure figure) {
  std::vector<double> values;
  values.reserve(runs.size());
  for (const BenchRun& run : runs) values.push_back(figure(run));
  return spread_of(std::move(values));
}

double per_second(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

}  // namespace

Spread spread_of(std::vector<double> values) {
  Spread spread;
  if (values.empty()) return spread;
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double share) {
    const double at = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, values.size() - 1);
    const double weight = at - static_cast<double>(below);
    return values[below] + weight * (values[above] - values[below]);
  };
  spread.median = quantile(0.5);
  spread.low = quantile(0.25);
  spread.high = quantile(0.75);
  spread.count = static_cast<int64_t>(values.size());
  return spread;
}

double BenchRun::decode_seconds() const {
  return std::accumulate(step_seconds.begin(), step_seconds.end(), 0.0);
}

double BenchRun::total_seconds() const {
  return prefill_seconds + statistics_seconds + compression_seconds + reserve_seconds +
         decode_seconds();
}

Spread BenchResult::prefill_seconds() const {
  return over_runs(runs, [](const BenchRun& run) { return run.prefill_seconds; });
}
Spread BenchResult::prefill_tokens_per_second() const {
  const auto tokens = static_cast<double>(cell.prefilled_tokens());
  return over_runs(runs,
                   [&](const BenchRun& run) { return per_second(tokens, run.prefill_seconds); });
}
Spread BenchResult::statistics_seconds() const {
  return over_runs(runs, [](const BenchRun& run) { return run.statistics_seconds; });
}
Spread BenchResult::compression_seconds() const {
  return over_runs(runs, [](const BenchRun& run) { return run.compression_seconds; });
}
Spread BenchResult::total_seconds() const {
  return over_runs(runs, [](const BenchRun& run) { return run.total_seconds(); });
}
Spread BenchResult::step_seconds() const {
  std::vector<double> steps;
  for (const BenchRun& run : runs)
    steps.insert(steps.end(), run.step_seconds.begin(), run.step_seconds.end());
  return spread_of(std::move(steps));
}
Spread BenchResult::decode_tokens_per_second() const {
  return over_runs(runs, [&](const BenchRun& run) {
    return per_second(
        static_cast<double>(cell.batch) * static_cast<double>(run.step_seconds.size()),
        run.decode_seconds());
  });
}
Spread BenchResult::throughput() const {
  const auto tokens = static_cast<double>(cell.batch * cell.lengths.new_tokens);
  return over_runs(runs,
                   [&](const BenchRun& run) { return per_second(tokens, run.total_seconds()); });
}
double BenchResult::times_bound() const {
  return bound_seconds > 0 ? step_seconds().median / bound_seconds : 0;
}

}  // namespace elastikv
