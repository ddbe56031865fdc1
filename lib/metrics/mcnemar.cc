// McNemar's exact test.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/error.h"
#include "metrics/intervals.h"

namespace elastikv {

double mcnemar_p(std::span<const double> a, std::span<const double> b) {
  ELASTIKV_ASSERT(a.size() == b.size(), "{} and {} samples are not paired", a.size(), b.size());
  size_t only_a = 0;
  size_t only_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    only_a += a[i] > b[i] ? 1 : 0;
    only_b += a[i] < b[i] ? 1 : 0;
  }
  const size_t n = only_a + only_b;
  const size_t fewer = std::min(only_a, only_b);
  if (2 * fewer == n) return 1;
  // P(X <= fewer) from its greatest term down, by ratios: log C(n, fewer) - n log 2 is where digits
  // can be lost.
  const auto size = static_cast<long double>(n);
  const auto least = static_cast<long double>(fewer);
  const long double log_term = std::lgamma(size + 1) - std::lgamma(least + 1) -
                               std::lgamma(size - least + 1) - size * std::log(2.0L);
  long double sum = 0;
  long double ratio = 1;
  for (size_t k = fewer;; --k) {
    sum += ratio;
    if (k == 0) break;
    ratio *= static_cast<long double>(k) / static_cast<long double>(n - k + 1);
  }
  return static_cast<double>(std::min(1.0L, 2 * sum * std::exp(log_term)));
}

}  // namespace elastikv
