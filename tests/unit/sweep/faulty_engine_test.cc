#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "sweep/records.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// All that an engine can do wrong, on a sweep of four samples, of which the first two are looked
/// at, and five cells.
class FaultyEngine : public testing::Test {
 protected:
  FaultyEngine() {
    std::string lines;
    for (int i = 0; i < 4; ++i) {
      lines +=
          fmt::format("{{\"id\": \"x{0}\", \"question\": \"q\", \"answer\": \"answer {0}\"}}\n", i);
    }
    folder_.write("x.jsonl", lines);
  }

  SweepConfig config() const {
    SweepOverrides overrides;
    overrides.output = output();
    overrides.record_problems = true;
    return parse_sweep(
        "name: test\nmodels: {path: m}\ndata: {path: " + (folder_.path() / "x.jsonl").string() +
            "}\nstrategies: [full, elastic, h2o]\nbudgets: {keep: [0.2, 0.5]}\n",
        "s.yaml", overrides);
  }
  SweepOutcome run(bool resume = false) {
    const fs_path log = folder_.path() / "log";
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(log.c_str(), "w"),
                                                               &std::fclose);
    Progress progress(file.get());
    RunOptions options;
    options.resume = resume;
    return run_sweep(config(), options, FakeEngines(plan_), progress);
  }
  SweepOutcome resume_mended() {
    plan_ = FakePlan{};
    return run(/*resume=*/true);
  }
  std::string said() const { return read_file(folder_.path() / "log"); }
  StoredSweep stored() const { return read_stored_sweep(output()); }
  std::string error_of(const std::string& sample, const std::string& cell = "m-fp32/x/h2o/0.2") {
    const StoredSweep sweep = stored();
    const Record* record = sweep.records.find(cell, sample);
    return record == nullptr ? "no record" : record->outcome.error;
  }
  /// Every sample but one is complete in all five cells.
  void expect_only(const std::string& sample) {
    const StoredSweep sweep = stored();
    EXPECT_EQ(sweep.records.size(), 4U * 5);
    for (const Record& record : sweep.records)
      EXPECT_EQ(record.failed(), record.sample == sample) << record.cell << " " << record.sample;
  }

  using fs_path = std::filesystem::path;
  fs_path output() const { return folder_.path() / "out"; }
  TemporaryFolder folder_;
  FakePlan plan_;
};

constexpr const char* kBug =
    "internal error at lib/models/llama/llama.cc:159: 9170 tokens of at most 8192";

TEST_F(FaultyEngine, ASampleThatIsTooLongIsNotLookedAt) {
  plan_.too_long = {{"m", "x1"}};
  plan_.throwing_looks["x1"] = [] { throw InternalError(kBug); };
  EXPECT_EQ(run().exit_code(), 2);
  EXPECT_EQ(plan_.looked_at, Texts{"x0"});
  expect_only("x1");
  EXPECT_EQ(error_of("x1"), "sample x1 is too long");
  // Nor is the model loaded again for it: nothing has changed.
  plan_.opened = plan_.hashed = 0;
  plan_.looked_at.clear();
  const SweepOutcome again = run(/*resume=*/true);
  EXPECT_EQ(again.exit_code(), 2);
  EXPECT_EQ(again.failed_cells, 5);
  EXPECT_EQ(plan_.opened, 0);
  EXPECT_EQ(plan_.hashed, 0);
  EXPECT_TRUE(plan_.looked_at.empty());
  // Once it can be done, it is.
  EXPECT_EQ(resume_mended().exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, Texts{"x1"});
}

TEST_F(FaultyEngine, AnotherReasonIsRecordedAnew) {
  plan_.failing_samples = {"x1"};
  run();
  EXPECT_EQ(error_of("x1"), "x1: the image is torn");
  plan_ = FakePlan{};
  plan_.too_long = {{"m", "x1"}};
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 2);
  EXPECT_EQ(error_of("x1"), "sample x1 is too long");
  EXPECT_EQ(plan_.opened, 0) << "it is not tried";
}

TEST_F(FaultyEngine, ABugOfOursFailsTheSampleAndSaysSo) {
  plan_.throwing["x2"] = [] { throw InternalError(kBug); };
  const SweepOutcome outcome = run();
  EXPECT_EQ(outcome.exit_code(), 2);
  EXPECT_NE(outcome.first_failure.find("this is a bug in ElastiKV"), std::string::npos);
  expect_only("x2");
  EXPECT_EQ(error_of("x2"), std::string(kBug) + "; this is a bug in ElastiKV, please report it");
  EXPECT_EQ(resume_mended().exit_code(), 0);
}

TEST_F(FaultyEngine, ABugInALookCostsItsDetails) {
  plan_.throwing_looks["x0"] = [] { throw InternalError(kBug); };
  EXPECT_EQ(run().exit_code(), 0);
  EXPECT_NE(said().find(std::string("no details of x sample x0: ") + kBug), std::string::npos);
  ASSERT_EQ(stored().details.size(), 1U);
  EXPECT_EQ(stored().details[0].sample, "x1");
}

TEST_F(FaultyEngine, WhateverIsThrownFailsOneSample) {
  plan_.throwing["x1"] = [] { throw std::runtime_error("a library's error\nwith a trace"); };
  EXPECT_EQ(run().exit_code(), 2);
  expect_only("x1");
  EXPECT_EQ(error_of("x1"), "a library's error");
  std::filesystem::remove_all(output());
  plan_ = FakePlan{};
  plan_.throwing["x1"] = [] { throw std::runtime_error(""); };
  EXPECT_EQ(run().exit_code(), 2);
  expect_only("x1");
  EXPECT_EQ(error_of("x1"), "it failed without a reason");
}

TEST_F(FaultyEngine, MemoryThatEndsInALookCostsItsDetails) {
  plan_.throwing_looks["x0"] = [] { throw OutOfMemory("out of memory: tried to allocate 2 GiB"); };
  plan_.throwing_looks["x1"] = [] { throw std::bad_alloc(); };
  EXPECT_EQ(run().exit_code(), 0);
  EXPECT_TRUE(stored().details.empty());
  EXPECT_EQ(stored().records.size(), 20U);
}

TEST_F(FaultyEngine, ImportanceThatIsNoNumberIsSaidAndNotKept) {
  for (const float value : {kNan, std::numeric_limits<float>::infinity(), -HUGE_VALF}) {
    std::filesystem::remove_all(output());
    plan_ = FakePlan{};
    plan_.spoiled_importance = {{"x0", value}};
    EXPECT_EQ(run().exit_code(), 0);
    EXPECT_NE(
        said().find("no details of x sample x0: the attention that layer 1 receives is not finite"),
        std::string::npos)
        << said();
    EXPECT_EQ(stored().details.size(), 1U);
    EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
  }
}

/// As earlier versions wrote it.
TEST_F(FaultyEngine, AFolderWithSuchDetailsCanStillBeRead) {
  run();
  std::string details = read_file(output() / "details.jsonl");
  details.replace(details.find("0.125"), 5, "null");
  folder_.write("out/details.jsonl", details);
  ASSERT_EQ(stored().details.size(), 1U);
  EXPECT_EQ(stored().details[0].sample, "x1");
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
}

TEST_F(FaultyEngine, AnyOutputThatIsNoNumberFailsItsCellAlone) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<std::string, std::function<void(CellOutcome&)>>> spoilers{
      {"the log likelihood of the answer is not finite",
       [](CellOutcome& cell) { cell.nll[3] = kNan; }},
      {"the log likelihood of the answer is not finite",
       [&](CellOutcome& cell) { cell.nll.back() = infinity; }},
      {"the log likelihood of the answer is not finite",
       [](CellOutcome& cell) { cell.nll_sum = kNan; }},
      {"the divergence from the full cache is not finite",
       [](CellOutcome& cell) { cell.mean_kl = kNan; }},
      {"the divergence from the full cache is not finite",
       [&](CellOutcome& cell) { cell.mean_kl = infinity; }},
  };
  for (const auto& [why, spoiler] : spoilers) {
    std::filesystem::remove_all(output());
    plan_ = FakePlan{};
    // Named: clang 14 captures no structured bindings.
    plan_.spoil = [&spoil = spoiler](const Sample& sample, const Cell& cell, CellOutcome& outcome) {
      if (sample.id == "x2" && cell.id == "m-fp32/x/h2o/0.2") spoil(outcome);
    };
    EXPECT_EQ(run().failed_cells, 1);
    EXPECT_EQ(error_of("x2"), why);
    EXPECT_EQ(error_of("x2", "m-fp32/x/h2o/0.5"), "");
    EXPECT_EQ(resume_mended().exit_code(), 0);
  }
}

TEST_F(FaultyEngine, TimesThatAreNoNumbersHarmNothing) {
  plan_.slowness = kNan;
  EXPECT_EQ(run().exit_code(), 0);
  EXPECT_EQ(stored().records.size(), 20U);
  EXPECT_TRUE(std::isnan(stored().records.find("m-fp32/x/full", "x0")->shared.prefill));
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
}

TEST_F(FaultyEngine, ALostDeviceEndsTheRunAndSpoilsNoSample) {
  plan_.throwing["x2"] = [] {
    throw DeviceLost("CUDA error: an illegal memory access was encountered\nCUDA kernel errors");
  };
  const SweepOutcome outcome = run();
  EXPECT_EQ(outcome.exit_code(), 2);
  EXPECT_EQ(outcome.device_lost, "CUDA error: an illegal memory access was encountered");
  EXPECT_EQ(outcome.failed_cells, 0);
  EXPECT_EQ(outcome.undone_cells, 5);
  EXPECT_EQ(plan_.evaluated, (Texts{"x0", "x1", "x2"})) << "nothing is tried after it";
  const StoredSweep sweep = stored();
  EXPECT_EQ(sweep.records.size(), 2U * 5);
  for (const Record& record : sweep.records) EXPECT_FALSE(record.failed());
  EXPECT_EQ(resume_mended().exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, (Texts{"x2", "x3"}));
}

TEST_F(FaultyEngine, ADeviceLostInALookEndsTheRunToo) {
  plan_.throwing_looks["x1"] = [] { throw DeviceLost("CUDA error: device-side assert"); };
  const SweepOutcome outcome = run();
  EXPECT_EQ(outcome.device_lost, "CUDA error: device-side assert");
  EXPECT_EQ(stored().records.size(), 2U * 5) << "what is done is kept";
  EXPECT_EQ(resume_mended().exit_code(), 0);
  EXPECT_EQ(stored().details.size(), 2U);
}

TEST_F(FaultyEngine, ADeviceLostWhileMemoryIsHandedBackEndsTheRunToo) {
  plan_.memory = 3;
  plan_.throwing_release = [] { throw DeviceLost("CUDA error: unspecified launch failure"); };
  const SweepOutcome outcome = run();
  EXPECT_EQ(outcome.device_lost, "CUDA error: unspecified launch failure");
  EXPECT_TRUE(stored().records.size() == 0);
}

}  // namespace
}  // namespace elastikv
