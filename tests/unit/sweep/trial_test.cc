#include "sweep/trial.h"

#include <cstdint>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "base/configs.h"
#include "models/registry.h"
#include "runtime/cost.h"
#include "sweep/plan.h"

namespace elastikv {
namespace {

TEST(Trial, RatesTellTimeWhereThereIsNoDevice) {
  ModelSize model;
  model.decoder = read_published_model(configs_folder() / "models" / "llava-1.5-7b-hf.config.json")
                      .summary.decoder;
  model.parameters = parameters_of(model.decoder) + 300'000'000;
  CellGroup group;
  group.model.device = "cuda";
  group.model.dtype = "fp16";
  group.cells.resize(3);  // the full cache
  for (Cell& cell : group.cells) cell.strategy.preset = "full";
  group.cells[1].budget.keep = 0.5;
  group.cells[1].strategy.preset = "h2o";
  group.cells[2].budget.keep_tokens = 100;
  group.cells[2].strategy.preset = "h2o";
  EvaluationSettings settings;
  settings.max_new_tokens = 200;
  const std::vector<SampleSize> samples{{600, 50, 576}, {1000, 300, 576}};
  const MachineRates rates{1e14, 1e12, ""};
  const double all = seconds_of(rates, group, settings, model, samples);
  // Per sample: the prompt's arithmetic, and steps that read all weights and the caches half way.
  const auto weights = static_cast<double>(step_weight_bytes(model.decoder, 1));
  double seconds = 0;
  for (const SampleSize& sample : samples) {
    const auto prompt = static_cast<double>(sample.prompt_tokens);
    seconds += (2 * weights * prompt + 2.0 * 32 * 4096 * prompt * prompt + 2 * 3e8 * 576) / 1e14;
    for (const int64_t steps : {sample.answer_tokens, int64_t{200}}) {
      const int64_t seen = sample.prompt_tokens + steps / 2;
      const auto slots = static_cast<double>(seen + seen / 2 + 100);
      seconds += static_cast<double>(steps) * (2 * weights + slots * 512 * 1024) / 1e12;
    }
  }
  EXPECT_NEAR(all, seconds, 1e-6 * seconds);
  // One after the other, every cell has its own prefill.
  settings.cells_together = false;
  EXPECT_GT(seconds_of(rates, group, settings, model, samples), 2 * all);
}

/// Three layers that two processors run in milliseconds.
class SmallTrial : public testing::Test {
 protected:
  SmallTrial() {
    LlamaConfig& shape = model_.decoder;
    shape.vocab_size = 64;
    shape.hidden_size = 64;
    shape.intermediate_size = 128;
    shape.layers = 3;
    shape.query_heads = 4;
    shape.kv_heads = 2;
    shape.head_dim = 16;
    model_.parameters = parameters_of(shape);
    group_.model.device = "cpu";
    group_.model.dtype = "fp32";
    group_.cells.resize(3);
    group_.cells[0].strategy.preset = "full";
    group_.cells[1].strategy.preset = "elastic";
    group_.cells[1].budget.keep = 0.5;
    group_.cells[2].strategy.preset = "h2o";
    group_.cells[2].budget.keep = 0.25;
    settings_.max_new_tokens = 20;
  }
  std::optional<Trial> run(int64_t available = int64_t{1} << 30) const {
    return run_trial(group_, settings_, model_, samples_, available);
  }

  ModelSize model_;
  CellGroup group_;
  EvaluationSettings settings_;
  std::vector<SampleSize> samples_{{40, 5, 0}, {60, 15, 0}};
};

TEST_F(SmallTrial, TimesEveryPart) {
  const std::optional<Trial> trial = run();
  ASSERT_TRUE(trial);
  EXPECT_EQ(trial->layers, 3);
  EXPECT_GT(trial->prompt_token_seconds, 0);
  EXPECT_GT(trial->compression_seconds, 0);
  EXPECT_GT(trial->scored_token_seconds, 0);
  EXPECT_GT(trial->step_seconds, 0);
  EXPECT_GT(trial->tower_operations_per_second, 0);
  // No part that the settings leave out is run.
  settings_.perplexity = false;
  EXPECT_EQ(run()->scored_token_seconds, 0);
  settings_.generate = false;
  EXPECT_EQ(run()->step_seconds, 0);
}

TEST_F(SmallTrial, NothingWithoutMemoryOrDevice) {
  EXPECT_FALSE(run(/*available=*/1000));
  group_.model.device = "cuda:63";
  EXPECT_FALSE(run());
}

TEST_F(SmallTrial, CellsThatNeedAnImageAreLeftOut) {
  group_.cells[2].strategy.preset = "vl-cache";
  EXPECT_TRUE(run());
  group_.cells = {group_.cells[2]};
  EXPECT_FALSE(run());
}

TEST(Trial, AddsUpTheParts) {
  ModelSize model;
  model.parameters = parameters_of(model.decoder) + 1000;
  const Trial trial{.layers = 1,
                    .prompt_token_seconds = 2,
                    .compression_seconds = 3,
                    .scored_token_seconds = 5,
                    .step_seconds = 7,
                    .tower_operations_per_second = 100};
  EvaluationSettings settings;
  settings.max_new_tokens = 11;
  const std::vector<SampleSize> samples{{10, 4, 8}, {20, 1, 0}};
  const double first = 2.0 * 1000 * 8 / 100 + 2 * 10 + 3 + 5 * 3 + 7 * 10;
  const double second = 2 * 20 + 3 + 7 * 10;
  CellGroup group;
  group.cells.resize(4);
  EXPECT_DOUBLE_EQ(seconds_of(trial, group, settings, model, samples), first + second);
  settings.cells_together = false;  // each has all of it
  EXPECT_DOUBLE_EQ(seconds_of(trial, group, settings, model, samples), 4 * (first + second));
}

TEST(Trial, CountsAContextForTheFirstOfItsSamples) {
  ModelSize model;
  model.parameters = parameters_of(model.decoder) + 1000;
  const Trial trial{
      .layers = 1, .prompt_token_seconds = 2, .moments = 2, .tower_operations_per_second = 100};
  EvaluationSettings settings;
  settings.perplexity = settings.generate = false;
  CellGroup group;
  group.cells.resize(2);
  std::vector<SampleSize> samples{{10, 4, 8}, {10, 4, 8}};
  const double one = 2.0 * 1000 * 8 / 100 + 2 * 10;
  EXPECT_DOUBLE_EQ(seconds_of(trial, group, settings, model, samples), 2 * one);
  samples[1].shared_tokens = 7;  // of one of the two prefills
  EXPECT_DOUBLE_EQ(seconds_of(trial, group, settings, model, samples), one + 2 * 10 - 7);
}

}  // namespace
}  // namespace elastikv
