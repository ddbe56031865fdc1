#include "bench/config.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bench/shapes.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

constexpr const char* kWhole =
    "name: all\n"
    "models:\n"
    "  - {shape: llava-1.5-7b, dtype: [bf16, fp16], device: cpu}\n"
    "  - {path: models/smollm2/assembled}\n"
    "batch: [1, 8-16*2]\n"
    "lengths: [1024+512, 624+256]\n"
    "strategies:\n"
    "  - full\n"
    "  - {preset: elastic, name: evicting, set: {compaction: evict}}\n"
    "budgets: {keep: [0.2, 1.0]}\n"
    "runs: 7\n"
    "warmup: 0\n"
    "threads: 2\n"
    "too_large: skip\n"
    "seed: 3\n"
    "output: out\n";

BenchConfig read(const std::string& text, const BenchOverrides& overrides = {}) {
  return parse_bench(text, "b.yaml", overrides);
}

TEST(BenchConfig, ReadsEverySetting) {
  const BenchConfig config = read(kWhole);
  EXPECT_EQ(config.name, "all");
  ASSERT_EQ(config.models.size(), 3U);
  EXPECT_EQ(config.models[0].label, "llava-1.5-7b");
  EXPECT_EQ(config.models[0].dtype, "bf16");
  EXPECT_EQ(config.models[1].dtype, "fp16");
  EXPECT_EQ(config.models[1].shape.intermediate_size, 11008);
  EXPECT_EQ(config.models[0].origin, "b.yaml:3");
  EXPECT_EQ(config.models[2].label, "smollm2");
  EXPECT_FALSE(config.models[2].random_weights());
  EXPECT_EQ(config.batch, (std::vector<int64_t>{1, 8, 16}));
  ASSERT_EQ(config.lengths.size(), 2U);
  EXPECT_EQ(config.lengths[1], (BenchLengths{624, 256}));
  EXPECT_EQ(config.strategies[1].label, "evicting");
  EXPECT_EQ(config.runs, 7);
  EXPECT_EQ(config.warmup, 0);
  EXPECT_EQ(config.threads, 2);
  EXPECT_EQ(config.too_large, BenchConfig::TooLarge::kSkip);
  EXPECT_EQ(config.output, "out");

  // 2 lengths x 3 batches x (the full cache once + 2 budgets).
  const std::vector<BenchCell> cells = cells_of(config);
  ASSERT_EQ(cells.size(), 18U);
  EXPECT_EQ(cells[0].strategy.label, "full");
  EXPECT_EQ(cells[0].budget.text(), "1");
  EXPECT_EQ(cells[1].budget.text(), "0.2");
  EXPECT_EQ(cells[3].batch, 8);
  EXPECT_EQ(cells[17].lengths.text(), "624+256");
}

TEST(BenchConfig, DefaultsAreTheFullCacheFiveTimes) {
  const BenchConfig config =
      read("models: {shape: tiny}\nprompt_tokens: [16, 32]\nnew_tokens: [1, 4]\n");
  EXPECT_EQ(config.name, "b");
  EXPECT_EQ(config.models[0].device, "cpu");
  EXPECT_EQ(config.models[0].dtype, "fp32");
  EXPECT_EQ(config.runs, 5);
  EXPECT_EQ(config.warmup, 1);
  EXPECT_EQ(config.too_large, BenchConfig::TooLarge::kRefuse);
  EXPECT_TRUE(config.output.empty());
  ASSERT_EQ(config.lengths.size(), 4U);
  EXPECT_EQ(config.lengths[2], (BenchLengths{32, 1}));
  const std::vector<BenchCell> cells = cells_of(config);
  ASSERT_EQ(cells.size(), 4U);
  EXPECT_EQ(cells[0].strategy.preset, "full");
}

TEST(BenchConfig, TheCommandLineWins) {
  BenchOverrides overrides;
  overrides.set = {parse_set_option("batch=2,4"), parse_set_option("models.0.shape=smollm2-135m")};
  overrides.runs = 1;
  overrides.dtype = "fp32";
  overrides.output = "elsewhere";
  const BenchConfig config = read(kWhole, overrides);
  EXPECT_EQ(config.batch, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(config.models[0].label, "smollm2-135m");
  EXPECT_EQ(config.models[0].dtype, "fp32");
  EXPECT_EQ(config.models.size(), 2U);
  EXPECT_EQ(config.runs, 1);
  EXPECT_EQ(config.output, "elsewhere");
}

TEST(BenchConfig, JsonIsABenchmarkFile) {
  const BenchConfig config = read(kWhole);
  const BenchConfig again = parse_bench(config.json(), "b.json");
  // A name of a shape becomes its sizes, so that the table of shapes may change.
  EXPECT_EQ(again.json(), config.json());
  EXPECT_EQ(again.hash(), config.hash());
}

TEST(BenchConfig, TheHashLeavesOutWhatDoesNotChangeAFigure) {
  BenchOverrides overrides;
  overrides.runs = 99;
  overrides.output = "x";
  EXPECT_EQ(read(kWhole, overrides).hash(), read(kWhole).hash());
  overrides.set = {parse_set_option("seed=4")};
  EXPECT_NE(read(kWhole, overrides).hash(), read(kWhole).hash());
}

TEST(BenchConfig, ErrorsNameLineAndKey) {
  const std::string good = "models: {shape: tiny}\nlengths: 8+4\n";
  EXPECT_ERROR(read("lengths: 8+4\n"), "b.yaml:1: key 'models' is missing");
  EXPECT_ERROR(read("models: {shape: tiny}\n"), "b.yaml:1: key 'prompt_tokens' is missing");
  EXPECT_ERROR(read("models: {shape: tiny}\nprompt_tokens: 8\n"),
               "b.yaml:1: key 'new_tokens' is missing");
  EXPECT_ERROR(read(good + "batches: 2\n"),
               "b.yaml:3: unknown key 'batches'; did you mean 'batch'?");
  EXPECT_ERROR(read(good + "batch: [1, 0]\n"),
               "b.yaml:3: key 'batch[1]' is 0, needs a whole number from 1 to 65536");
  EXPECT_ERROR(read(good + "batch: [2, 1.5]\n"),
               "b.yaml:3: key 'batch[1]' is 1.5, needs a whole number from 1 to 65536");
  EXPECT_ERROR(read(good + "batch: [2, 1-3]\n"), "b.yaml:3: key 'batch[1]' has 2 twice");
  EXPECT_ERROR(read("models: {shape: tiny}\nlengths: 1024\n"),
               "b.yaml:2: key 'lengths' is '1024', needs prompt and new tokens, such as 1024+512");
  EXPECT_ERROR(read("models: {shape: tiny}\nlengths: [8+4, 8+0]\n"),
               "b.yaml:2: key 'lengths[1]' is '8+0', needs prompt and new tokens, such as "
               "1024+512");
  EXPECT_ERROR(read("models: {shape: tiny}\nlengths: [8+4, 08+4]\n"),
               "b.yaml:2: key 'lengths' has two entries named '8+4'; each is timed once");
  EXPECT_ERROR(read(good + "new_tokens: 3\n"),
               "b.yaml:3: key 'new_tokens' excludes 'lengths', which gives both");
  EXPECT_ERROR(read("models: {shape: tiny}\nlengths: 4000+100\n"),
               "b.yaml:1: 4000+100 tokens do not fit the context of tiny, which is 4096");
  EXPECT_ERROR(read("models: {shape: llava-1.5-7}\nlengths: 8+4\n"),
               "b.yaml:1: key 'models.shape' names the unknown shape 'llava-1.5-7'; did you mean "
               "'llava-1.5-7b'?");
  EXPECT_ERROR(
      read("models: {dtype: fp32}\nlengths: 8+4\n"),
      "b.yaml:1: key 'models' needs either 'path' (a checkpoint folder) or 'shape' (random "
      "weights)");
  EXPECT_ERROR(
      read("models: {shape: tiny, dtype: fp31}\nlengths: 8+4\n"),
      "b.yaml:1: key 'models.dtype' is not usable: dtype 'fp31' is not known; did you mean "
      "'fp32'?");
  EXPECT_ERROR(read("models: {shape: tiny, device: gpu}\nlengths: 8+4\n"),
               "b.yaml:1: key 'models.device' is not usable: device 'gpu' is not known; use cpu, "
               "cuda or cuda:N");
  EXPECT_ERROR(read("models: [{shape: tiny}, {shape: tiny}]\nlengths: 8+4\n"),
               "b.yaml:1: key 'models' has two entries named 'tiny-fp32-cpu'; give them different "
               "labels");
  EXPECT_ERROR(read(good + "strategies: [full, elastic]\n"), "b.yaml:1: key 'budgets' is missing");
  EXPECT_ERROR(read(good + "budgets: {keep: 1.5}\n"),
               "b.yaml:3: key 'budgets.keep' is 1.5, a budget is a fraction kept: above 0 and at "
               "most 1");
  EXPECT_ERROR(read(good + "runs: 0\n"), "b.yaml:3: key 'runs' is 0, needs to be at least 1");
  EXPECT_ERROR(read(good + "warmup: -1\n"), "b.yaml:3: key 'warmup' is -1, needs to be at least 0");
  EXPECT_ERROR(read(good + "too_large: drop\n"),
               "b.yaml:3: key 'too_large' is 'drop', needs refuse or skip");
  EXPECT_ERROR(read(good + "output: ''\n"), "b.yaml:3: key 'output' is empty");
  BenchOverrides no_runs;
  no_runs.runs = 0;
  EXPECT_ERROR(read(good, no_runs), "--runs is 0, needs to be at least 1");
}

TEST(BenchShapes, OwnSizesAreChecked) {
  const auto shape = [](const std::string& sizes) {
    return read("models:\n  shape: {" + sizes + "}\nlengths: 8+4\n").models.at(0).shape;
  };
  const LlamaConfig own =
      shape("layers: 2, hidden_size: 32, intermediate_size: 64, query_heads: 4, vocab_size: 100");
  EXPECT_EQ(own.kv_heads, 4);
  EXPECT_EQ(own.head_dim, 8);
  EXPECT_EQ(own.max_positions, 4096);
  EXPECT_FALSE(own.tie_word_embeddings);
  EXPECT_ERROR(shape("layers: 2"), "b.yaml:2: key 'models.shape.hidden_size' is missing");
  EXPECT_ERROR(shape("layers: 2, hidden: 3"),
               "b.yaml:2: unknown key 'models.shape.hidden'; known: layers, hidden_size, "
               "intermediate_size, query_heads, kv_heads, head_dim, vocab_size, max_positions, "
               "rope_theta, attention_bias, tie_word_embeddings");
  EXPECT_ERROR(shape("layers: 2, hidden_size: 32, intermediate_size: 64, query_heads: 4, "
                     "kv_heads: 3, vocab_size: 9"),
               "b.yaml:2: key 'models.shape.kv_heads' is 3, which does not divide query_heads 4");
  EXPECT_ERROR(shape("layers: 2, hidden_size: 12, intermediate_size: 64, query_heads: 4, "
                     "vocab_size: 9"),
               "b.yaml:2: key 'models.shape.hidden_size' gives heads of 3, an even number is "
               "needed");
}

TEST(BenchShapes, EveryNamedShapeCanBeRead) {
  const std::vector<std::string> names = YamlFields::read(shapes_file()).keys();
  EXPECT_GE(names.size(), 8U);
  for (const std::string& name : names) {
    const BenchConfig config = read("models: {shape: " + name + "}\nlengths: 8+4\n");
    EXPECT_EQ(config.models.at(0).label, name);
  }
}

}  // namespace
}  // namespace elastikv
