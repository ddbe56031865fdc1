#include "sweep/preparation.h"

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/config.h"
#include "sweep/plan.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

/// Two models on three samples, of which one misses its image and one its answer.
class Prepared : public testing::Test {
 protected:
  SweepConfig config(const std::string& more = ", on_problem: record") const {
    const std::string data =
        folder_
            .write("data.jsonl",
                   "{\"id\": \"a\", \"image\": \"gone.png\", \"question\": \"<image> q\", "
                   "\"answer\": \"x\"}\n"
                   "{\"id\": \"b\", \"question\": \"q\", \"answer\": \"four\"}\n"
                   "{\"id\": \"c\", \"question\": \"q\", \"answer\": \"\"}\n")
            .string();
    return parse_sweep("models: {path: [m, n]}\ndata: {path: " + data + ", name: d" + more +
                           "}\nstrategies: [full, elastic]\nbudgets: {keep: 0.5}\noutput: " +
                           (folder_.path() / "out").string() + "\n",
                       "s.yaml");
  }
  void sweep(const SweepConfig& config) { run_quietly(config, RunOptions{}, FakeEngines(plan_)); }

  TemporaryFolder folder_;
  FakePlan plan_;
};

TEST_F(Prepared, NamesWhatIsWrongWithEverySample) {
  plan_.too_long = {{"n", "b"}};
  const SweepConfig all = config();
  // Nothing is left for the second model.
  EXPECT_ERROR_CONTAINS(Preparation(all, {}, FakeEngines(plan_)), "no image ");
  plan_.too_long = {{"n", "c"}};
  const SweepConfig some = config();
  const Preparation preparation(some, {}, FakeEngines(plan_));
  ASSERT_EQ(preparation.prepared().size(), 2U);
  for (const PreparedGroup& group : preparation.prepared()) {
    EXPECT_EQ(group.set, &preparation.data().of(group.group));
    ASSERT_EQ(group.problems.size(), 3U);
    EXPECT_NE(group.problems[0].find("no image "), std::string::npos);
    EXPECT_EQ(group.problems[1], "");
    EXPECT_EQ(group.usable(), 1);
    const GroupCost cost = cost_of(group.group, *group.set, group.problems, some);
    EXPECT_EQ(cost.samples, 3);
    EXPECT_EQ(cost.prefills, 1);
    EXPECT_EQ(cost.evaluations, 2);
    EXPECT_EQ(cost.answer_characters, 4);
  }
  EXPECT_EQ(preparation.prepared()[0].problems[2], "the answer is empty");
  EXPECT_EQ(preparation.prepared()[1].problems[2], "sample c is too long");
}

TEST_F(Prepared, MemoryIsToldOfEveryGroupAndRefusesASweep) {
  plan_.too_large = "it does not fit";
  const SweepConfig all = config();
  const Preparation preparation(all, {}, FakeEngines(plan_));
  for (const PreparedGroup& group : preparation.prepared())
    EXPECT_EQ(group.memory, "it does not fit");
  EXPECT_ERROR(sweep(all), "it does not fit");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "out"));
  EXPECT_EQ(plan_.opened, 0);
}

TEST_F(Prepared, WhatIsNotAtHandIsLeftOut) {
  plan_.too_large = "it does not fit";
  const SweepConfig all = config();
  const Preparation no_model(all, {}, FakeEngines(plan_), [](const CellGroup& group) {
    return Preparation::Missing{.data = false, .model = group.model.label == "m"};
  });
  // The samples' own problems are known without a model.
  EXPECT_EQ(no_model.prepared()[0].usable(), 1);
  EXPECT_EQ(no_model.prepared()[0].memory, "");
  EXPECT_EQ(no_model.prepared()[1].memory, "it does not fit");
  const Preparation no_data(all, {}, FakeEngines(plan_),
                            [](const CellGroup&) { return Preparation::Missing{.data = true}; });
  for (const PreparedGroup& group : no_data.prepared()) {
    EXPECT_EQ(group.set, nullptr);
    EXPECT_EQ(group.problems, Texts{});
    EXPECT_EQ(group.memory, "");
  }
}

}  // namespace
}  // namespace elastikv
