#include "strategies/released.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "strategies/eviction_policy.h"

namespace elastikv {
namespace {

/// 1 - r as the released code has it. A budget of 0.3 is --ratio 0.7 there, and 1 - 0.7 is not 0.3
/// in double.
double one_minus_ratio(double keep) {
  constexpr double kDecimals = 1e12;
  constexpr double kRounding = 1e-15;
  const double ratio = std::round((1.0 - keep) * kDecimals) / kDecimals;
  const double kept = 1.0 - ratio;
  return std::abs(kept - keep) < kRounding ? kept : keep;
}

}  // namespace

int64_t released_excess(int64_t length, int64_t tokens_seen, int64_t prompt_tokens,
                        const Budget& budget) {
  if (!budget.is_fraction()) return length - budget.slots(tokens_seen, prompt_tokens);
  // Released code knows nothing of entries on top of a budget.
  const int64_t beside = budget.seen_beside(tokens_seen, prompt_tokens);
  length -= beside;
  tokens_seen -= beside;
  const bool fixed = budget.growth() == Budget::Growth::kPrompt;
  // volatile: a fused multiply-subtract would not round the product as Python does.
  volatile double target = static_cast<double>(fixed ? prompt_tokens : tokens_seen) *
                           one_minus_ratio(budget.keep(tokens_seen));
  return static_cast<int64_t>(static_cast<double>(length) - target);
}

std::vector<int64_t> argsort_as_rank(const float* scores, int64_t first, int64_t last,
                                     int64_t excess) {
  if (last <= first) return {};
  std::vector<int64_t> order(static_cast<size_t>(last - first));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [scores, first](int64_t a, int64_t b) {
    return scores[first + a] < scores[first + b];
  });
  std::vector<int64_t> kept;
  for (size_t j = 0; j < order.size(); ++j) {
    if (order[j] > excess) kept.push_back(first + static_cast<int64_t>(j));
  }
  return kept;
}

std::vector<StepPlan> evict_rank(const KVCache& cache, int64_t layers, int64_t rank) {
  if (rank < 0) return {};
  std::vector<StepPlan> plans(static_cast<size_t>(layers));
  for (int64_t layer = 0; layer < layers; ++layer) {
    ELASTIKV_ASSERT(cache.groups(layer) == 1, "layer {}: released code shares slots between heads",
                    layer);
    const std::vector<int64_t> slots = slots_by_position(cache.positions(layer));
    plans[static_cast<size_t>(layer)].evict = {{slots.at(static_cast<size_t>(rank))}};
  }
  return plans;
}

}  // namespace elastikv
