#include "metrics/student_t.h"

#include <cmath>

#include "base/error.h"

namespace elastikv {
namespace {

/// Continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method; converges
/// fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  constexpr int kMostTerms = 10000;
  const auto away_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double fraction = d;
  for (int m = 1; m <= kMostTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    fraction *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    fraction *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return fraction;
}

/// The regularized incomplete beta function I_x(a, b).
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

}  // namespace

double student_t_cdf(double t, double freedom) {
  ELASTIKV_ASSERT(freedom > 0, "{} degrees of freedom", freedom);
  if (std::isinf(t)) return t > 0 ? 1 : 0;
  const double tail = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2;
  return t > 0 ? 1 - tail : tail;
}

double student_t_quantile(double share, double freedom) {
  ELASTIKV_ASSERT(share > 0 && share < 1, "a share of {}", share);
  if (share > 0.5) return -student_t_quantile(1 - share, freedom);
  double low = -1;
  while (student_t_cdf(low, freedom) > share) low *= 2;
  double high = 0;
  for (int i = 0; i < 200 && high - low > 1e-15 * std::abs(low); ++i) {
    const double middle = (low + high) / 2;
    (student_t_cdf(middle, freedom) < share ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace elastikv
