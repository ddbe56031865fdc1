#include "strategies/allocation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace elastikv {
namespace {

/// clamp(factor * wish) for every wish.
std::vector<double> scaled(const std::vector<double>& wishes, double factor, double least,
                           double most) {
  std::vector<double> amounts;
  amounts.reserve(wishes.size());
  for (const double wish : wishes) amounts.push_back(std::clamp(factor * wish, least, most));
  return amounts;
}

/// The factor for which the amounts add up to `total`.
std::vector<double> fill(const std::vector<double>& wishes, double total, double least,
                         double most) {
  double low = 0.0;
  double high = most / *std::min_element(wishes.begin(), wishes.end());
  constexpr int kHalvings = 120;  // to the last bit of a double
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = 0.5 * (low + high);
    const std::vector<double> amounts = scaled(wishes, middle, least, most);
    (std::accumulate(amounts.begin(), amounts.end(), 0.0) < total ? low : high) = middle;
  }
  return scaled(wishes, high, least, most);
}

}  // namespace

std::vector<int64_t> apportion(const std::vector<double>& wishes, int64_t total, int64_t least,
                               int64_t most) {
  const auto count = static_cast<int64_t>(wishes.size());
  ELASTIKV_ASSERT(count > 0 && least * count <= total && total <= most * count,
                  "{} slots for {} shares of {} to {}", total, count, least, most);
  const double largest = *std::max_element(wishes.begin(), wishes.end());
  std::vector<double> positive;
  // A wish of 0 stands behind all others, but takes what these may not.
  constexpr double kNothing = 1e-9;
  for (const double wish : wishes) {
    ELASTIKV_ASSERT(std::isfinite(wish) && wish >= 0.0, "a wish for {} slots", wish);
    positive.push_back(largest > 0.0 ? std::max(wish / largest, kNothing) : 1.0);
  }
  std::vector<double> amounts = fill(positive, static_cast<double>(total),
                                     static_cast<double>(least), static_cast<double>(most));
  std::vector<int64_t> shares;
  std::vector<double> remainders;
  for (double& amount : amounts) {
    // Equal wishes must have equal remainders, whatever the halvings left in the last bits.
    constexpr double kGrid = 1e6;
    amount = std::round(amount * kGrid) / kGrid;
    shares.push_back(static_cast<int64_t>(std::floor(amount)));
    remainders.push_back(amount - std::floor(amount));
  }
  std::vector<size_t> order(wishes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  int64_t left = total - std::accumulate(shares.begin(), shares.end(), int64_t{0});
  while (left != 0) {
    const int64_t before = left;
    for (const size_t i : order) {
      if (left > 0 && shares[i] < most) {
        ++shares[i];
        --left;
      } else if (left < 0 && shares[i] > least) {
        --shares[i];
        ++left;
      }
    }
    ELASTIKV_ASSERT(left != before, "{} slots cannot be given out", left);
  }
  return shares;
}

std::vector<int64_t> ProportionalAllocation::slots_per_layer(const PromptStatistics& prompt,
                                                             int64_t total) const {
  const std::vector<double> wanted = wishes(prompt, total);
  if (!std::all_of(wanted.begin(), wanted.end(), [](double wish) { return std::isfinite(wish); }))
    fail("allocation {}: what a layer should keep is not finite", description());
  return apportion(wanted, total, /*least=*/1, prompt.prompt_tokens);
}

}  // namespace elastikv
