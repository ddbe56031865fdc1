// What cells hold that share a prompt, over all presets that only evict.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/rotary.h"
#include "strategies/registry.h"
#include "support/counting_allocator.h"
#include "support/tensors.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

bool merges(const std::vector<LayerPlan>& plans) {
  return std::any_of(plans.begin(), plans.end(),
                     [](const LayerPlan& plan) { return plan.source.defined(); });
}

TEST(SharedMemory, CellsThatEvictTakeLittleBesideThePrompt) {
  constexpr int64_t kTokens = 4096;
  constexpr int64_t kNewTokens = 16;
  constexpr int64_t kHeadDim = 8;
  const PromptStatistics prompt = made_up_prompt(kTokens, /*layers=*/2, /*query_heads=*/2);
  const RotaryTable rotary(kHeadDim, RotaryRule{10000.0}, 2 * kTokens, at::kCPU);
  const at::Tensor entries = random_tensor({2, kTokens, kHeadDim}, 1);
  const at::Tensor entry = random_tensor({2, 1, kHeadDim}, 2);
  CountingAllocator allocator;
  KVCache cache({.layers = 2, .kv_heads = 2, .head_dim = kHeadDim});
  for (int64_t layer = 0; layer < 2; ++layer)
    cache.adopt(layer, entries.clone(), entries.clone(), /*first_position=*/0);
  const int64_t full = allocator.bytes();
  std::vector<KVCache> cells;
  int64_t alone = 0;
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    for (const double keep : {0.1, 0.2, 0.3, 0.5, 0.7}) {
      const std::vector<LayerPlan> plans = strategy->compress(prompt, Budget::fraction(keep));
      if (merges(plans)) break;
      KVCache& cell = cells.emplace_back(cache.fork());
      if (strategy->positions() == PositionMode::kRerotated) cell.unrotate_keys(rotary);
      for (int64_t layer = 0; layer < 2; ++layer)
        cell.apply(layer, plans[static_cast<size_t>(layer)], &rotary);
      cell.reserve(Room{1, kNewTokens});
      for (int64_t token = 0; token < kNewTokens; ++token) {
        for (int64_t layer = 0; layer < 2; ++layer) {
          cell.append(layer, entry, entry, kTokens + token);
          for (int64_t group = 0; group < cell.groups(layer); ++group) cell.evict(layer, group, 0);
        }
      }
      alone += cell.bytes();
    }
  }
  EXPECT_GE(cells.size(), 80U);
  EXPECT_GT(alone, 20 * full);
  EXPECT_LE(static_cast<double>(allocator.bytes()), 2.5 * static_cast<double>(full))
      << cells.size() << " cells";
  std::printf("%zu cells: %.2f full caches, %.1f if each had its own\n", cells.size(),
              static_cast<double>(allocator.bytes()) / static_cast<double>(full),
              static_cast<double>(alone) / static_cast<double>(full));
}

}  // namespace
}  // namespace elastikv
