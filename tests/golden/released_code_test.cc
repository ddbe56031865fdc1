// The *-released strategies against tensors that the released classes returned (README.md here).
// One ctest entry per method: the cases come from the manifest when the test runs, so that a folder
// named by ELASTIKV_GOLDEN_DIR is read anew each time.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json_fields.h"
#include "cache/kv_cache.h"
#include "strategies/registry.h"
#include "strategies/strategy.h"
#include "support/paths.h"
#include "weights/safetensors.h"

namespace elastikv {
namespace {

struct Case {
  std::filesystem::path file;
  std::string method;
  int64_t prompt_tokens;
  int64_t layers;
  int64_t heads;
  int64_t head_dim;
  double ratio_removed;
  int64_t start_size;
  int64_t steps;
  int64_t distance;
};

std::vector<std::filesystem::path> golden_folders() {
  std::vector<std::filesystem::path> folders{source_path("tests/golden/released-code")};
  const char* named = std::getenv("ELASTIKV_GOLDEN_DIR");
  if (named != nullptr && *named != '\0') folders.emplace_back(named);
  return folders;
}

std::vector<Case> cases_of(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "manifest.json";
  std::vector<Case> cases;
  for (const auto& entry : parse_json(read_file(file), file.string())) {
    const JsonFields fields(entry, file.string());
    cases.push_back({.file = folder / fields.string("file"),
                     .method = fields.string("method"),
                     .prompt_tokens = fields.integer("prompt_length"),
                     .layers = fields.integer("layers"),
                     .heads = fields.integer("heads"),
                     .head_dim = fields.integer("head_dim"),
                     .ratio_removed = fields.number("ratio_removed"),
                     .start_size = fields.integer("start_size"),
                     .steps = fields.integer("decode_steps"),
                     .distance = fields.integer("distance", -25)});
  }
  return cases;
}

std::unique_ptr<Strategy> strategy_of(const Case& c) {
  const std::string start = fmt::format("selection.start_size={}", c.start_size);
  if (c.method != "elastic") return make_strategy(c.method + "-released", {start});
  return make_strategy("elastic-released",
                       {start, fmt::format("generation.distance={}", c.distance)});
}

bool holds_doubles(const std::vector<int64_t>& positions) {
  std::vector<int64_t> sorted = positions;
  std::sort(sorted.begin(), sorted.end());
  return std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
}

/// The slots of a layer in the released classes' order, which is that of the tokens. Where the
/// class has doubled its entries the cache was rebuilt in that order.
std::vector<int64_t> class_order(const KVCache& cache, int64_t layer) {
  const std::vector<int64_t>& positions = cache.positions(layer);
  std::vector<int64_t> order(positions.size());
  std::iota(order.begin(), order.end(), 0);
  if (holds_doubles(positions)) return order;
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return positions[static_cast<size_t>(a)] < positions[static_cast<size_t>(b)];
  });
  return order;
}

void expect_equal(const KVCache& cache, const SafetensorsFile& golden, const std::string& when) {
  const at::Tensor keys = golden.tensor(when + "_k");
  const at::Tensor values = golden.tensor(when + "_v");
  for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
    ASSERT_EQ(cache.length(layer), keys.size(2)) << when << ", layer " << layer;
    const at::Tensor order = at::tensor(class_order(cache, layer), at::kLong);
    const at::Tensor k = cache.keys(layer).index_select(1, order).sub(keys[layer]);
    const at::Tensor v = cache.values(layer).index_select(1, order).sub(values[layer]);
    EXPECT_LE(k.abs().max().item<float>(), 1e-6F) << when << ", keys of layer " << layer;
    EXPECT_LE(v.abs().max().item<float>(), 1e-6F) << when << ", values of layer " << layer;
  }
}

/// Mixes up the storage order of all layers, which nothing may notice.
void shuffle(KVCache& cache, std::mt19937& random) {
  if (holds_doubles(cache.positions(0))) return;
  for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
    std::vector<int64_t> order = class_order(cache, layer);
    std::shuffle(order.begin(), order.end(), random);
    cache.permute(layer, at::tensor(order, at::kLong));
  }
}

/// The golden row of every layer, from the class's order into the cache's.
std::vector<at::Tensor> rows_of(const KVCache& cache, const at::Tensor& attention) {
  std::vector<at::Tensor> rows;
  for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
    at::Tensor row = at::empty_like(attention[layer]);
    row.index_copy_(1, at::tensor(class_order(cache, layer), at::kLong), attention[layer]);
    rows.push_back(row);
  }
  return rows;
}

void run(const Case& c, bool shuffled) {
  SCOPED_TRACE(c.file.string() + (shuffled ? ", slots shuffled" : ""));
  const SafetensorsFile golden(c.file);
  const auto strategy = strategy_of(c);
  const Budget budget = Budget::fraction(1.0 - c.ratio_removed);
  std::mt19937 random(7);

  PromptStatistics prompt{
      .prompt_tokens = c.prompt_tokens, .query_heads = c.heads, .kv_heads = c.heads, .layers = {}};
  KVCache cache({.layers = c.layers, .kv_heads = c.heads, .head_dim = c.head_dim});
  const at::Tensor attention = golden.tensor("prompt_attention");
  ASSERT_EQ(attention.sizes(),
            at::IntArrayRef({c.layers, c.heads, c.prompt_tokens, c.prompt_tokens}));
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    prompt.layers.emplace_back().column_sums = attention[layer].sum(1);
    cache.append(layer, golden.tensor("prompt_k")[layer], golden.tensor("prompt_v")[layer],
                 /*first_position=*/0);
  }

  const std::vector<LayerPlan> plans = strategy->compress(prompt, budget);
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    cache.apply(layer, plans[static_cast<size_t>(layer)]);
  }
  if (shuffled) shuffle(cache, random);
  expect_equal(cache, golden, "after_prefill");
  if (testing::Test::HasFatalFailure()) return;

  const auto policy = strategy->begin_generation(prompt, plans, budget);
  const at::Tensor lengths = golden.tensor("lengths_after_each_step").to(at::kLong);
  for (int64_t i = 0; i < c.steps; ++i) {
    const int64_t tokens_seen = c.prompt_tokens + i + 1;
    for (int64_t layer = 0; layer < c.layers; ++layer) {
      cache.append(layer, golden.tensor("step_k")[i][layer].unsqueeze(1),
                   golden.tensor("step_v")[i][layer].unsqueeze(1), tokens_seen - 1);
    }
    const at::Tensor rows = golden.tensor(fmt::format("step_attention.{:03}", i));
    ASSERT_EQ(cache.length(0), rows.size(2)) << "step " << i;
    if (policy != nullptr) {
      const std::vector<StepPlan> step =
          policy->step({.tokens_seen = tokens_seen, .cache = &cache, .rows = rows_of(cache, rows)});
      for (size_t layer = 0; layer < step.size(); ++layer) {
        cache.apply(static_cast<int64_t>(layer), step[layer]);
      }
    }
    ASSERT_EQ(cache.length(0), lengths[i].item<int64_t>()) << "after step " << i;
    if (shuffled) shuffle(cache, random);
  }
  expect_equal(cache, golden, "after_steps");
}

void run_all(const std::string& method) {
  for (const auto& folder : golden_folders()) {
    for (const Case& c : cases_of(folder)) {
      if (c.method != method) continue;
      run(c, /*shuffled=*/false);
      run(c, /*shuffled=*/true);
    }
  }
}

TEST(golden, elastic_released_reproduces_the_released_class) { run_all("elastic"); }
TEST(golden, h2o_released_reproduces_the_released_class) { run_all("h2o"); }
TEST(golden, local_released_reproduces_the_released_class) { run_all("local"); }

TEST(golden, manifests_hold_cases_of_known_methods) {
  for (const auto& folder : golden_folders()) {
    const std::vector<Case> cases = cases_of(folder);
    EXPECT_FALSE(cases.empty()) << folder;
    for (const Case& c : cases) {
      EXPECT_TRUE(std::filesystem::exists(c.file)) << c.file;
      EXPECT_TRUE(c.method == "elastic" || c.method == "h2o" || c.method == "local")
          << c.file << ": " << c.method;
    }
  }
  EXPECT_EQ(cases_of(golden_folders().front()).size(), 12U);
}

}  // namespace
}  // namespace elastikv
