#include "metrics/linearised.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "base/error.h"

namespace elastikv {

void linearise_ratio(std::span<const double> numerators, std::span<const double> denominators,
                     std::span<double> values) {
  ELASTIKV_ASSERT(numerators.size() == values.size() && denominators.size() == values.size(),
                  "{} numerators and {} denominators of {} samples", numerators.size(),
                  denominators.size(), values.size());
  const double numerator = std::accumulate(numerators.begin(), numerators.end(), 0.0);
  const double denominator = std::accumulate(denominators.begin(), denominators.end(), 0.0);
  std::fill(values.begin(), values.end(), 0.0);
  if (denominator == 0) return;
  const double ratio = numerator / denominator;
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = (numerators[i] - ratio * denominators[i]) / denominator;
  linearise(ratio, values);
}

void linearise(double value, std::span<double> values) {
  const auto samples = static_cast<double>(values.size());
  for (double& one : values) one = value + samples * one;
}

}  // namespace elastikv
