#include "runtime/cost.h"

#include <limits>

#include <gtest/gtest.h>

#include "bench/config.h"
#include "bench/runner.h"

namespace elastikv {
namespace {

const c10::Device kCpu(c10::DeviceType::CPU);
const c10::Device kCuda(c10::DeviceType::CUDA, 0);

LlamaConfig named(const std::string& shape) {
  return parse_bench("models: {shape: " + shape + "}\nlengths: 8+4\n", "b.yaml").models[0].shape;
}

TEST(BenchCost, ParametersAreThePublishedOnes) {
  // config.json of the checkpoints; SmolLM2-135M has 134,515,008 parameters, Llama-3-8B
  // 8,030,261,248.
  EXPECT_EQ(parameters_of(named("smollm2-135m")), 134515008);
  EXPECT_EQ(parameters_of(named("llama-3-8b")), 8030261248);
  // Vicuna-7B's 6,738,415,616 with 64 more tokens in the embedding and in the head.
  EXPECT_EQ(parameters_of(named("llava-1.5-7b")), 6738415616 + 2 * 64 * 4096);
}

TEST(BenchCost, AStepReadsEveryWeightButTheEmbeddingTable) {
  const LlamaConfig shape = named("smollm2-135m");
  // Tied: the one table is the head, so all weights are read.
  EXPECT_EQ(step_weight_bytes(shape, /*element_bytes=*/2), 2 * 134515008);
  LlamaConfig own_head = shape;
  own_head.tie_word_embeddings = false;
  EXPECT_EQ(step_weight_bytes(own_head, /*element_bytes=*/2), 2 * 134515008);
  EXPECT_EQ(parameters_of(own_head), 134515008 + 49152 * 576);
}

TEST(BenchCost, TheBoundOfLlavaAtBatch48) {
  // By hand: 512 KiB of fp16 cache per token; 48 rows of 1,400 tokens are 35.2 GB, the weights
  // without the embedding table 13.2 GB; at 3.84 TB/s 12.6 ms (at a fifth of the slots 5.3 ms).
  const LlamaConfig shape = named("llava-1.5-7b");
  EXPECT_EQ(shape.cache_bytes_per_token(/*element_bytes=*/2), 512 * 1024);
  const auto weights = static_cast<double>(step_weight_bytes(shape, /*element_bytes=*/2));
  EXPECT_DOUBLE_EQ(weights, 2.0 * (6738939904.0 - 32064.0 * 4096));
  const double cache = 48.0 * 1400 * 512 * 1024;
  EXPECT_DOUBLE_EQ(cache, 35232153600.0);
  // Arithmetic: 48 times two operations for each of 6.6 G weights, and for each cached number.
  const double operations = step_operations(shape, /*rows=*/48, cache, /*element_bytes=*/2);
  EXPECT_DOUBLE_EQ(operations, 48.0 * weights + cache);
  const double none = std::numeric_limits<double>::infinity();
  EXPECT_NEAR(step_bound_seconds(weights + cache, 3.84e12, operations, none), 12.617e-3, 1e-6);
  EXPECT_NEAR(step_bound_seconds(weights + 0.2 * cache, 3.84e12, operations, none), 5.276e-3, 1e-6);
  EXPECT_NEAR(step_bound_seconds(weights + cache, 3.84e12, operations, 25e12), 26.782e-3, 1e-6);
}

TEST(BenchCost, MemoryOfACell) {
  const LlamaConfig shape = named("llava-1.5-7b");
  const auto dtype = c10::ScalarType::Half;
  const MemoryNeed weights = memory_for_weights(shape, dtype, kCuda);
  const int64_t rotary = int64_t{4096} * 128 * 2 * 4;
  EXPECT_EQ(weights.weights, 2 * 6738939904 + rotary);
  EXPECT_EQ(weights.loading, 2 * (2 * 4096 * int64_t{32064}));
  // A checkpoint with a vision tower has more.
  EXPECT_EQ(memory_for_weights(shape, dtype, kCuda, /*stored_parameters=*/7063427072).weights,
            2 * 7063427072 + rotary);
  const int64_t token = 512 * 1024;
  const MemoryNeed full =
      memory_for_cell(weights, shape, dtype, /*batch=*/16, /*prompt_tokens=*/1024,
                      /*new_tokens=*/512, Budget::unlimited());
  EXPECT_EQ(full.caches, 16 * 1536 * token);
  EXPECT_EQ(full.total(), full.weights + full.caches + full.activations);
  // A fifth of the slots in 16 rows, and one whole prompt before it is compressed.
  const MemoryNeed fifth =
      memory_for_cell(weights, shape, dtype, 16, 1024, 512, Budget::fraction(0.2));
  EXPECT_EQ(fifth.caches, (16 * 307 + 1024) * token);
}

TEST(BenchCost, WeightsAreHeldOnce) {
  const LlamaConfig shape = named("smollm2-135m");
  const int64_t parameters = 134515008;
  const int64_t table = int64_t{49152} * 576;
  using c10::ScalarType;
  const int64_t rotary = int64_t{8192} * 64 * 2 * 4;
  // The panels of a head that shares the embedding table stand beside it.
  EXPECT_EQ(memory_for_weights(shape, ScalarType::Float, kCpu).weights,
            4 * (parameters + table) + rotary);
  EXPECT_EQ(memory_for_weights(shape, ScalarType::BFloat16, kCpu).weights,
            2 * (parameters + table) + rotary);
  EXPECT_EQ(memory_for_weights(shape, ScalarType::Half, kCpu).weights, 2 * parameters + rotary);
  EXPECT_EQ(memory_for_weights(shape, ScalarType::Float, kCuda).weights, 4 * parameters + rotary);
  // All but the embedding table in bf16.
  EXPECT_EQ(memory_for_weights(shape, ScalarType::Float, kCpu, 0, ScalarType::BFloat16).weights,
            2 * parameters + 4 * table + rotary);
}

TEST(BenchCost, RefusalNamesNeededAndAvailableBytes) {
  MemoryNeed need;
  need.weights = int64_t{3} << 30;
  need.loading = int64_t{1} << 30;
  need.caches = 512 << 20;
  need.activations = 100;
  EXPECT_EQ(refusal(need, int64_t{4} << 30), "");
  EXPECT_EQ(refusal(need, (int64_t{4} << 30) - 1),
            "needs about 4.0 GiB (weights 3.0 GiB, loading them 1.0 GiB), but 4.0 GiB are "
            "available");
  need.loading = 0;
  EXPECT_EQ(refusal(need, 1000),
            "needs about 3.5 GiB (weights 3.0 GiB, caches 512.0 MiB, activations 100 bytes), but "
            "1000 bytes are available");
}

TEST(BenchSpread, QuartilesAreInterpolated) {
  // numpy.percentile([7, 1, 2, 10], [25, 50, 75])
  const Spread spread = spread_of({7, 1, 2, 10});
  EXPECT_DOUBLE_EQ(spread.low, 1.75);
  EXPECT_DOUBLE_EQ(spread.median, 4.5);
  EXPECT_DOUBLE_EQ(spread.high, 7.75);
  EXPECT_EQ(spread.count, 4);
  EXPECT_DOUBLE_EQ(spread_of({3}).high, 3);
  EXPECT_EQ(spread_of({}).count, 0);
}

TEST(BenchFigures, ThroughputCountsAsThePapersTable) {
  // 16 rows of 1024+512 tokens in 17.2 s are 476.3 tokens/s there.
  BenchResult result;
  result.cell.batch = 16;
  result.cell.lengths = {1024, 512};
  BenchRun run;
  run.prefill_seconds = 1.5;
  run.statistics_seconds = 0.4;
  run.compression_seconds = 0.2;
  run.reserve_seconds = 0.1;
  run.step_seconds.assign(511, 15.0 / 511);
  result.runs = {run};
  EXPECT_NEAR(result.total_seconds().median, 17.2, 1e-9);
  EXPECT_NEAR(result.throughput().median, 476.28, 0.01);
  EXPECT_NEAR(result.decode_tokens_per_second().median, 16 * 511 / 15.0, 1e-6);
  EXPECT_NEAR(result.prefill_tokens_per_second().median, 16 * 1024 / 1.5, 1e-6);
  result.bound_seconds = 15.0 / 511 / 1.25;
  EXPECT_NEAR(result.times_bound(), 1.25, 1e-9);
}

}  // namespace
}  // namespace elastikv
