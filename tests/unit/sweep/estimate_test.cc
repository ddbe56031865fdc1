#include "sweep/estimate.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/configs.h"
#include "base/device.h"
#include "models/registry.h"
#include "runtime/cost.h"
#include "sweep/plan.h"

namespace elastikv {
namespace {

TEST(Estimate, FollowsFromSizes) {
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
  const GroupEstimate all = estimate(group, settings, model, samples);
  EXPECT_EQ(all.longest_prompt, 1000);
  EXPECT_DOUBLE_EQ(all.mean_prompt, 800);
  EXPECT_EQ(all.memory.weights, 2 * model.parameters + 2 * 4096 * 128 * 4);  // and rotary tables
  // 512 KiB a token: a whole prompt, which all cells share, and of each cell the new tokens that
  // it may hold.
  EXPECT_EQ(all.memory.caches, 512 * 1024 * int64_t{1000 + (300 + 300 + 101)});
  // One after the other the largest cell counts.
  settings.cells_together = false;
  const GroupEstimate single = estimate(group, settings, model, samples);
  EXPECT_EQ(single.memory.caches, 512 * 1024 * int64_t{1000 + 300});
  // Merging cells hold what they changed (half of what they can), and while answers are scored once
  // more, for the generation to begin with; keys that are rotated anew are there once more for all
  // such cells.
  settings.cells_together = true;
  group.cells[1].strategy.preset = "elastic";
  EXPECT_EQ(estimate(group, settings, model, samples).memory.caches,
            512 * 1024 * int64_t{1000 + (300 + (300 + 2 * 250) + 101)});
  settings.max_new_tokens = 1000;  // more than what scoring holds
  EXPECT_EQ(estimate(group, settings, model, samples).memory.caches,
            512 * 1024 * int64_t{1000 + (1000 + (1000 + 250) + 101)});
  settings.generate = false;  // scoring is the last phase, and takes what there is
  EXPECT_EQ(estimate(group, settings, model, samples).memory.caches,
            512 * 1024 * int64_t{1000 + (300 + (300 + 250) + 101)});
  settings.generate = true;
  settings.max_new_tokens = 200;
  group.cells[1].strategy.preset = "streaming-llm";
  group.cells[2].strategy.preset = "streaming-llm";
  EXPECT_EQ(estimate(group, settings, model, samples).memory.caches,
            512 * 1024 * int64_t{1000 + 500 + (300 + 300 + 101)});
}

/// LLaVA-1.5-7B's full cache and two cells of 0.5 beside it.
class WhatFits : public testing::Test {
 protected:
  WhatFits() {
    model_.decoder =
        read_published_model(configs_folder() / "models" / "llava-1.5-7b-hf.config.json")
            .summary.decoder;
    model_.parameters = parameters_of(model_.decoder);
    group_.model.device = "cpu";
    group_.model.dtype = "fp32";
    group_.cells.resize(3);
    group_.cells[0].strategy.preset = "full";
    for (size_t i : {1, 2}) group_.cells[i].strategy.preset = "h2o";
    group_.cells[1].budget.keep = 0.5;
    group_.cells[2].budget.keep = 0.5;
  }
  MemoryNeed need(const std::string& dtype, bool together = false) const {
    CellGroup group = group_;
    group.model.dtype = dtype;
    EvaluationSettings settings;
    settings.cells_together = together;
    return estimate(group, settings, model_, samples_).memory;
  }
  std::string what(int64_t available) const {
    return what_would_fit(group_, EvaluationSettings{}, model_, samples_, available);
  }
  int64_t batches(int64_t available) const {
    return batches_of(group_, EvaluationSettings{}, model_, samples_, available);
  }

  ModelSize model_;
  CellGroup group_;
  std::vector<SampleSize> samples_{{1000, 100, 576}};
};

TEST_F(WhatFits, IsHalfThePrecision) {
  const int64_t half = need("bf16").total();
  EXPECT_EQ(what(half), "fits with --dtype bf16 (about " + bytes_text(need("bf16").total()) + ")");
}

TEST_F(WhatFits, IsTheLeastWhereNothingDoes) {
  EXPECT_EQ(what(1000), "fits only where at least " + bytes_text(need("bf16").total()) +
                            " are free, with --dtype bf16");
  group_.model.dtype = "bf16";
  EXPECT_EQ(what(1000), "fits only where as much is free");
}

TEST_F(WhatFits, CellsRunInAsManyBatchesAsMemoryAsksFor) {
  const int64_t together = need("fp32", /*together=*/true).total();
  EXPECT_EQ(batches(together), 1);
  EXPECT_EQ(batches(together - 1), 2);
  EXPECT_EQ(batches(need("fp32").total()), 3);
  EXPECT_EQ(batches(1000), 3);  // never fewer than one at a time
}

}  // namespace
}  // namespace elastikv
