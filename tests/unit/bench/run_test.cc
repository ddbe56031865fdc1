#include <algorithm>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "bench/config.h"
#include "bench/output.h"
#include "bench/runner.h"
#include "runtime/machine.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

constexpr const char* kSmall =
    "models: {shape: tiny, dtype: [fp32, bf16]}\n"
    "batch: [1, 3]\n"
    "lengths: [40+6, 16+1]\n"
    "strategies: [full, elastic, streaming-llm]\n"
    "budgets: {keep: 0.5}\n"
    "runs: 2\n"
    "seed: 5\n";

TEST(BenchRun, EveryCellOfASmallShape) {
  const BenchConfig config = parse_bench(kSmall, "b.yaml");
  int lines = 0;
  BenchOptions options;
  options.on_progress = [&](const std::string&) { ++lines; };
  const BenchOutcome outcome = run_bench(config, options);
  EXPECT_FALSE(outcome.interrupted);
  EXPECT_EQ(lines, 2 * (1 + 1 + 2));
  ASSERT_EQ(outcome.models.size(), 2U);
  for (const BenchModelResult& model : outcome.models) {
    EXPECT_GT(model.bandwidth.read_bytes_per_second, 0);
    ASSERT_EQ(model.cells.size(), 12U);
    const int64_t element_bytes = model.model.dtype == "fp32" ? 4 : 2;
    // 2 layers, 2 KV heads of 16, keys and values.
    const int64_t token_bytes = 2 * 2 * 2 * 16 * element_bytes;
    for (const BenchResult& result : model.cells) {
      ASSERT_EQ(result.runs.size(), 2U);
      const bool full = result.cell.strategy.preset == "full";
      const BenchLengths& lengths = result.cell.lengths;
      const int64_t kept = full ? lengths.prompt_tokens : lengths.prompt_tokens / 2;
      EXPECT_EQ(result.kept_slots, kept);
      EXPECT_EQ(result.cache_bytes_prompt, result.cell.batch * kept * token_bytes);
      const int64_t steps = lengths.new_tokens - 1;
      const int64_t at_end =
          full ? lengths.prompt_tokens + steps : (lengths.prompt_tokens + steps) / 2;
      EXPECT_EQ(result.kept_slots_end, at_end);
      EXPECT_EQ(result.cache_bytes_end, result.cell.batch * at_end * token_bytes);
      for (const BenchRun& run : result.runs) {
        EXPECT_EQ(static_cast<int64_t>(run.step_seconds.size()), steps);
        EXPECT_GT(run.prefill_seconds, 0);
      }
      EXPECT_GE(result.memory_peak, result.memory_before);
      if (full) {
        // Each step reads the slots there and the one it adds: 41 to 45 of 40+6.
        const double slots = steps == 0 ? 0 : static_cast<double>(lengths.prompt_tokens) + 3;
        EXPECT_DOUBLE_EQ(result.step_cache_bytes,
                         static_cast<double>(result.cell.batch * token_bytes) * slots);
      }
      EXPECT_EQ(result.bound_seconds > 0, steps > 0);
    }
  }
}

/// 140 cells of one prompt, as in a sweep: what they keep is the prompt's, what they add their own.
TEST(BenchRun, RowsOfASharedPromptHoldWhatTheyAdd) {
  const BenchConfig config = parse_bench(
      "models: {shape: tiny}\nbatch: 140\nshared_prompt: true\nlengths: 192+3\n"
      "strategies: [full, h2o, streaming-llm, elastic]\nbudgets: {keep: 0.25}\nruns: 1\nwarmup: "
      "0\n",
      "b.yaml");
  const BenchOutcome outcome = run_bench(config, {});
  const int64_t token_bytes = 2 * 2 * 2 * 16 * 4;
  for (const BenchResult& result : outcome.models.at(0).cells) {
    SCOPED_TRACE(result.cell.strategy.label);
    const bool full = result.cell.strategy.preset == "full";
    EXPECT_EQ(result.kept_slots, full ? 192 : 48);
    EXPECT_EQ(result.cache_bytes_prompt, 140 * result.kept_slots * token_bytes);
    // The prompt once, and two steps of every row.
    const int64_t least = (192 + 140 * 2) * token_bytes;
    if (result.cell.strategy.preset == "elastic") {
      EXPECT_GT(result.cache_bytes_allocated, least);
    } else {
      EXPECT_EQ(result.cache_bytes_allocated, least);
      EXPECT_LE(result.cache_bytes_allocated, 5 * (192 + 2) * token_bytes / 2);
      // Step 1 reads the prompt and a row's first entry, step 2 its second one, too.
      EXPECT_EQ(result.step_read_bytes, (192 + 140 * 1.5) * token_bytes);
    }
    EXPECT_LE(result.cache_bytes_allocated, result.need.caches);
    EXPECT_GT(result.step_cache_bytes, result.step_read_bytes);
    // One prompt went through a prefill, whatever the rows.
    EXPECT_NEAR(result.prefill_tokens_per_second().median * result.prefill_seconds().median, 192,
                1e-6);
  }
  EXPECT_NE(bench_notes(outcome).find("share one prompt"), std::string::npos);
}

TEST(BenchRun, JsonHoldsWhatTheSchemaPromises) {
  BenchOptions options;
  options.provenance = {{"host", "h"}};
  BenchConfig config = parse_bench(kSmall, "b.yaml");
  config.models.resize(1);
  const auto json = nlohmann::json::parse(bench_json(run_bench(config, options)));
  EXPECT_EQ(json.at("schema"), "elastikv-bench-1");
  EXPECT_EQ(json.at("config_hash"), config.hash());
  EXPECT_EQ(json.at("config").at("lengths"), (nlohmann::json{"40+6", "16+1"}));
  EXPECT_EQ(json.at("provenance").at("host"), "h");
  for (const char* key : {"libtorch", "cpu", "threads"})
    EXPECT_TRUE(json.at("provenance").contains(key)) << key;
  EXPECT_EQ(json.at("models").at(0).at("parameters"), 106816);
  for (const char* key : {"label", "dtype", "device", "device_name", "random_weights",
                          "weights_bytes", "available_bytes", "cache_bytes_per_token", "bandwidth"})
    EXPECT_TRUE(json.at("models").at(0).contains(key)) << key;
  ASSERT_EQ(json.at("cells").size(), 12U);
  for (const auto& cell : json.at("cells")) {
    for (const char* key :
         {"model", "dtype", "device", "batch", "prompt_tokens", "new_tokens", "strategy", "preset",
          "budget", "needed_bytes", "kept_slots", "cache_bytes", "memory_bytes"})
      EXPECT_TRUE(cell.contains(key)) << key;
    EXPECT_TRUE(cell.at("skipped").is_null());
    EXPECT_EQ(cell.at("runs_seconds").size(), 2U);
    EXPECT_EQ(cell.at("prefill_seconds").at("count"), 2);
    const bool steps = cell.at("new_tokens") == 6;
    EXPECT_EQ(cell.at("bound").is_object(), steps);
    EXPECT_EQ(cell.at("decode_tokens_per_second").is_object(), steps);
    if (!steps) continue;
    EXPECT_EQ(cell.at("decode_step_seconds").at("count"), 2 * 5);
    const auto& bound = cell.at("bound");
    EXPECT_EQ(bound.at("weight_bytes"), 4 * (106816 - 256 * 64));
    // Which of the two takes longer is the machine's matter, and what else it does.
    const auto& model = json.at("models").at(0);
    const double reading =
        (bound.at("weight_bytes").get<double>() + bound.at("cache_bytes_read").get<double>()) /
        model.at("bandwidth").at("read_bytes_per_second").get<double>();
    const double computing =
        bound.at("operations").get<double>() / model.at("operations_per_second").get<double>();
    EXPECT_DOUBLE_EQ(bound.at("step_seconds").get<double>(), std::max(reading, computing));
    EXPECT_DOUBLE_EQ(bound.at("measured_over_bound").get<double>(),
                     cell.at("decode_step_seconds").at("median").get<double>() /
                         bound.at("step_seconds").get<double>());
  }
}

TEST(BenchRun, WritesTables) {
  const TemporaryFolder folder;
  BenchConfig config = parse_bench(kSmall, "b.yaml");
  config.runs = 1;
  const BenchOutcome outcome = run_bench(config, {});
  write_bench(outcome, folder.path() / "a/b");
  const std::string text = read_file(folder.path() / "a/b/bench.md");
  EXPECT_TRUE(text.starts_with("# b\n\n| model ")) << text.substr(0, 40);
  const std::string csv = read_file(folder.path() / "a/b/bench.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 24);
  for (const std::string& row : {bench_table(outcome).csv(), figures_table(outcome).csv()})
    EXPECT_EQ(std::count(row.begin(), row.end(), '\n'), 1 + 24);
  EXPECT_EQ(nlohmann::json::parse(read_file(folder.path() / "a/b/bench.json")).at("name"), "b");
}

TEST(BenchRun, WhatDoesNotFitIsRefusedBeforeAnyWeights) {
  // 2^24 rows of a table of 2^24 numbers each: no machine holds it.
  const std::string huge =
      "models: {shape: {layers: 1, hidden_size: 16777216, intermediate_size: 16777216, "
      "query_heads: 2, vocab_size: 16777216}, label: huge}\nlengths: 8+4\n";
  EXPECT_ERROR_CONTAINS(run_bench(parse_bench(huge, "b.yaml"), {}),
                        "b.yaml:1: huge in fp32 on cpu needs about 11534592.2 GiB (weights "
                        "9437440.2 GiB, loading them 2097152.0 GiB), but ");
  EXPECT_ERROR_CONTAINS(run_bench(parse_bench(huge, "b.yaml"), {}), " are available");

  const std::string many =
      "models: {shape: llama-3-8b, label: m, dtype: bf16}\nbatch: [1, 65536]\n"
      "lengths: 4096+4096\nwarmup: 0\nruns: 1\n";
  BenchOptions plan;
  plan.plan_only = true;
  const BenchOutcome outcome = run_bench(parse_bench(many, "b.yaml"), plan);
  ASSERT_EQ(outcome.models.at(0).cells.size(), 2U);
  const BenchResult& large = outcome.models[0].cells[1];
  // 128 KiB per token, 8,192 tokens, 65,536 rows.
  EXPECT_EQ(large.need.caches, int64_t{128} * 1024 * 8192 * 65536);
  EXPECT_FALSE(large.skipped.empty());
  EXPECT_TRUE(large.runs.empty());
  EXPECT_EQ(plan_table(outcome).rows[1].back(), "no");
  EXPECT_NE(bench_notes(outcome).find("batch 65536 of 4096+4096 under full at 1 needs about "),
            std::string::npos);
}

TEST(BenchRun, LargeCellsAreSkippedOnRequest) {
  const std::string text =
      "models: {shape: tiny}\nbatch: [1, 65536]\nlengths: 4000+90\nwarmup: 0\nruns: 1\n";
  EXPECT_ERROR_CONTAINS(run_bench(parse_bench(text, "b.yaml"), {}),
                        "b.yaml:1: tiny in fp32 on cpu: batch 65536 of 4000+90 tokens under 'full' "
                        "at budget 1 needs about 127.");
  const BenchOutcome outcome = run_bench(parse_bench(text + "too_large: skip\n", "b.yaml"), {});
  EXPECT_EQ(outcome.models.at(0).cells.at(0).runs.size(), 1U);
  EXPECT_TRUE(outcome.models[0].cells[1].runs.empty());
  EXPECT_EQ(bench_table(outcome).rows[1][5], "too large");
}

TEST(BenchRun, StrategiesAreCheckedFirst) {
  const auto run = [](const std::string& strategies) {
    run_bench(parse_bench("models: {shape: tiny}\nlengths: 16+2\nbudgets: {keep: 0.5}\n"
                          "strategies:\n  - " +
                              strategies + "\n",
                          "b.yaml"),
              {});
  };
  EXPECT_ERROR_CONTAINS(run("elastik"), "b.yaml:5: strategy 'elastik' is unknown");
  EXPECT_ERROR_CONTAINS(run("vl-cache"),
                        "b.yaml:5: strategy 'vl-cache' cannot run: a benchmark's prompt has no "
                        "image");
}

TEST(BenchRun, AnInterruptedRunKeepsWhatItHas) {
  BenchConfig config = parse_bench(kSmall, "b.yaml");
  config.warmup = 0;
  int asked = 0;
  BenchOptions options;
  options.should_stop = [&] { return ++asked > 4; };
  const BenchOutcome outcome = run_bench(config, options);
  EXPECT_TRUE(outcome.interrupted);
  size_t runs = 0;
  for (const BenchModelResult& model : outcome.models)
    for (const BenchResult& result : model.cells) runs += result.runs.size();
  EXPECT_EQ(runs, 3U);
  EXPECT_EQ(bench_table(outcome).rows[11][5], "not run");
  EXPECT_TRUE(nlohmann::json::parse(bench_json(outcome)).at("interrupted"));
}

TEST(BenchMachine, PeakMemoryIsThatOfTheStretch) {
  const c10::Device cpu(c10::DeviceType::CPU);
  constexpr size_t kBytes = size_t{96} << 20;
  const PeakMemory memory(cpu);
  {
    std::string block(kBytes, 'x');
    ASSERT_EQ(block[kBytes / 2], 'x');
  }
  EXPECT_GE(memory.peak() - memory.before(), static_cast<int64_t>(kBytes * 9 / 10));
  const PeakMemory later(cpu);
  EXPECT_LT(later.peak() - later.before(), static_cast<int64_t>(kBytes / 2));
  EXPECT_GT(available_bytes(cpu), 0);
}

}  // namespace
}  // namespace elastikv
