#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>

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

/// Two models, two data sets of three text samples each, five strategies and five budgets (21 cells
/// for each model and data set), run by the fake engine.
class Failures : public testing::Test {
 protected:
  Failures() {
    for (const std::string name : {"x", "y"}) {
      std::string lines;
      for (int i = 0; i < 3; ++i) {
        lines += fmt::format(
            "{{\"id\": \"{0}{1}\", \"question\": \"q\", \"answer\": \"answer {1}\"}}\n", name, i);
      }
      folder_.write(name + ".jsonl", lines);
    }
    output_ = folder_.path() / "out";
  }

  SweepConfig config(const std::vector<std::string>& settings = {}) const {
    const std::string data = folder_.path().string() + "/";
    SweepOverrides overrides;
    for (const std::string& setting : settings) overrides.set.push_back(parse_set_option(setting));
    overrides.output = output_;
    return parse_sweep("name: test\nmodels: {path: [one, two]}\ndata: {path: [" + data +
                           "x.jsonl, " + data +
                           "y.jsonl]}\nstrategies: [full, elastic, h2o, random, streaming-llm]\n"
                           "budgets: {keep: 0.1-0.9+0.2}\n",
                       "s.yaml", overrides);
  }
  /// Two cells beside the full cache, one model, one data set.
  SweepConfig small(const std::vector<std::string>& settings = {}) const {
    Texts all{"models.path=one", "data.path=" + (folder_.path() / "x.jsonl").string(),
              "strategies=full,elastic,h2o", "budgets.keep=0.2,0.5"};
    all.insert(all.end(), settings.begin(), settings.end());
    return config(all);
  }
  SweepOutcome run(const SweepConfig& config, RunOptions options = {}) {
    const std::filesystem::path log = folder_.path() / "log";
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(log.c_str(), "w"),
                                                               &std::fclose);
    Progress progress(file.get());
    return run_sweep(config, options, FakeEngines(plan_), progress);
  }
  SweepOutcome run_samples(const SweepConfig& config, const Texts& ids, bool resume = false) {
    RunOptions options;
    options.sample_ids = ids;
    options.resume = resume;
    return run(config, options);
  }
  SweepOutcome resume(const SweepConfig& config) {
    RunOptions options;
    options.resume = true;
    return run(config, options);
  }
  StoredSweep stored() const { return read_stored_sweep(output_); }
  CellOutcome outcome(const std::string& cell, const std::string& sample) const {
    const StoredSweep sweep = stored();
    const Record* record = sweep.records.find(cell, sample);
    if (record != nullptr) return record->outcome;
    CellOutcome none;
    none.error = "no record";
    return none;
  }

  TemporaryFolder folder_;
  std::filesystem::path output_;
  FakePlan plan_;
};

TEST_F(Failures, OneBadSampleAndOneBadCellLeaveAllOthersComplete) {
  plan_.failing_samples = {"y1"};
  plan_.need = {{"two-fp32/x/h2o/0.9", 1000}};
  plan_.memory = 100;
  const SweepOutcome result = run(config());
  EXPECT_EQ(result.exit_code(), 2);
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(result.cells, 4 * 21);
  // The cells of y on both models, and one of x.
  EXPECT_EQ(result.failed_cells, 2 * 21 + 1);
  const StoredSweep sweep = stored();
  EXPECT_EQ(sweep.records.size(), 4U * 21 * 3);
  int64_t samples = 0;
  int64_t memory = 0;
  for (const Record& record : sweep.records) {
    if (!record.failed()) continue;
    if (record.outcome.failure == Failure::kSample) {
      ++samples;
      EXPECT_EQ(record.sample, "y1");
      EXPECT_EQ(record.outcome.error, "y1: the image is torn");
    } else {
      ++memory;
      EXPECT_EQ(record.cell, "two-fp32/x/h2o/0.9");
      EXPECT_EQ(record.outcome.failure, Failure::kOutOfMemory);
      EXPECT_EQ(record.outcome.error, "out of memory: 1000");
    }
  }
  EXPECT_EQ(samples, 2 * 21);
  EXPECT_EQ(memory, 3);
  // What was mended is all that is done again.
  plan_ = FakePlan{};
  EXPECT_EQ(resume(config()).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, (Texts{"y1", "x0", "x1", "x2", "y1"}));
}

TEST_F(Failures, CellsThatDoNotFitTogetherRunInBatchesAfterOnePrefill) {
  plan_.memory = 3;
  EXPECT_EQ(run(small({"data.limit=1"})).exit_code(), 0);
  EXPECT_EQ(plan_.groups,
            (Texts{"x0: full elastic/0.2 elastic/0.5 h2o/0.2 h2o/0.5", "x0: full elastic/0.2",
                   "x0: elastic/0.5 h2o/0.2", "x0: h2o/0.5"}));
  EXPECT_EQ(plan_.evaluated, (Texts{"x0"}));
  EXPECT_EQ(plan_.released, 1);
  for (const Record& record : stored().records)
    EXPECT_TRUE(record.outcome.mean_kl || record.cell.ends_with("/full")) << record.cell;
  // The rest of the records is the same; the seconds of the batches add up.
  EXPECT_EQ(outcome("one-fp32/x/h2o/0.5", "x0").token_ids.size(), 10U);
  const SharedSeconds seconds = stored().records.find("one-fp32/x/h2o/0.5", "x0")->shared;
  EXPECT_EQ(seconds.prefill, 0.25);
  EXPECT_EQ(seconds.scoring, 3 * 1.5);
}

TEST_F(Failures, HowManyCellsFitIsRememberedForTheNextSample) {
  plan_.memory = 3;
  EXPECT_EQ(run(small({"data.limit=2"})).exit_code(), 0);
  const auto second =
      std::find_if(plan_.groups.begin(), plan_.groups.end(),
                   [](const std::string& group) { return group.starts_with("x1"); });
  EXPECT_EQ(Texts(second, plan_.groups.end()),
            (Texts{"x1: full elastic/0.2", "x1: elastic/0.5 h2o/0.2", "x1: h2o/0.5"}));
}

TEST_F(Failures, AnEnginePlansItsBatches) {
  plan_.planned = 2;
  EXPECT_EQ(run(small({"data.limit=1"})).exit_code(), 0);
  EXPECT_EQ(plan_.groups,
            (Texts{"x0: full elastic/0.2", "x0: elastic/0.5 h2o/0.2", "x0: h2o/0.5"}));
  EXPECT_EQ(plan_.released, 0);
}

TEST_F(Failures, OnlyTheCellThatDoesNotFitAloneFails) {
  plan_.need = {{"one-fp32/x/elastic/0.5", 50}};
  plan_.memory = 10;
  EXPECT_EQ(run(small({"data.limit=2"})).failed_cells, 1);
  EXPECT_EQ(plan_.groups,
            (Texts{"x0: full elastic/0.2 elastic/0.5 h2o/0.2 h2o/0.5", "x0: full elastic/0.2",
                   "x0: elastic/0.5 h2o/0.2", "x0: elastic/0.5", "x0: h2o/0.2", "x0: h2o/0.5",
                   // Two that fitted together do so again.
                   "x1: full elastic/0.2", "x1: elastic/0.5 h2o/0.2", "x1: elastic/0.5",
                   "x1: h2o/0.2", "x1: h2o/0.5"}));
  EXPECT_EQ(outcome("one-fp32/x/elastic/0.5", "x0").failure, Failure::kOutOfMemory);
}

TEST_F(Failures, APromptThatDoesNotFitFailsInAllCells) {
  plan_.throwing = {{"x0", [] { throw OutOfMemory("out of memory: the prompt"); }}};
  EXPECT_EQ(run(small({"data.limit=2"})).failed_cells, 5);
  EXPECT_EQ(outcome("one-fp32/x/full", "x0").error, "out of memory: the prompt");
  EXPECT_EQ(outcome("one-fp32/x/full", "x0").failure, Failure::kOutOfMemory);
  EXPECT_EQ(outcome("one-fp32/x/h2o/0.5", "x1").error, "");
}

TEST_F(Failures, WithoutAgreementNoCellNeedsTheFullCacheBesideIt) {
  plan_.memory = 1;
  const Texts settings{"data.limit=1", "metrics={agreement: false, text: []}"};
  EXPECT_EQ(run(small(settings)).exit_code(), 0);
  EXPECT_EQ(plan_.groups.back(), "x0: h2o/0.5");
  // Nor does it have to fit.
  std::filesystem::remove_all(output_);
  plan_ = FakePlan{};
  plan_.memory = 1;
  plan_.need = {{"one-fp32/x/full", 5}};
  EXPECT_EQ(run(small(settings)).failed_cells, 1);
  EXPECT_EQ(outcome("one-fp32/x/full", "x0").error, "out of memory: 5");
}

TEST_F(Failures, WhatIsComparedWithTheFullCacheFailsWithIt) {
  plan_.memory = 10;
  plan_.need = {{"one-fp32/x/full", 50}};
  EXPECT_EQ(run(small({"data.limit=1"})).failed_cells, 5);
  EXPECT_EQ(plan_.groups.back(), "x0: full");
  EXPECT_EQ(outcome("one-fp32/x/full", "x0").failure, Failure::kOutOfMemory);
  EXPECT_EQ(outcome("one-fp32/x/h2o/0.2", "x0").failure, Failure::kCell);
  EXPECT_EQ(outcome("one-fp32/x/h2o/0.2", "x0").error,
            "no reference: the full cache failed: out of memory: 50");
}

TEST_F(Failures, ACellIsGivenUpAfterThreeSamplesWithoutMemory) {
  std::string lines;
  for (int i = 0; i < 5; ++i)
    lines += fmt::format("{{\"id\": \"x{}\", \"question\": \"q\", \"answer\": \"a\"}}\n", i);
  folder_.write("x.jsonl", lines);
  plan_.memory = 10;
  plan_.need = {{"one-fp32/x/h2o/0.5", 50}};
  EXPECT_EQ(run(small()).failed_cells, 1);
  EXPECT_EQ(plan_.groups[plan_.groups.size() - 2], "x4: full elastic/0.2");
  EXPECT_EQ(plan_.groups.back(), "x4: elastic/0.5 h2o/0.2");
  EXPECT_EQ(outcome("one-fp32/x/h2o/0.5", "x4").error,
            "not tried: ran out of memory on the 3 samples before");
  EXPECT_EQ(outcome("one-fp32/x/h2o/0.5", "x4").failure, Failure::kOutOfMemory);
  EXPECT_EQ(outcome("one-fp32/x/h2o/0.2", "x4").error, "");
}

TEST_F(Failures, BadAllocIsOutOfMemory) {
  int64_t calls = 0;
  const auto throw_first = [&] {
    if (calls++ == 0) throw std::bad_alloc();
  };
  plan_.on_run = throw_first;
  EXPECT_EQ(run(small()).exit_code(), 0);
  EXPECT_EQ(plan_.released, 1);
  std::filesystem::remove_all(output_);
  plan_ = FakePlan{};
  calls = 0;
  plan_.on_evaluate = [&](const Sample&) { throw_first(); };
  EXPECT_EQ(run(small()).failed_cells, 5);
  EXPECT_EQ(plan_.released, 1);
  EXPECT_EQ(outcome("one-fp32/x/full", "x0").error, "out of memory");
}

TEST_F(Failures, FailFastStopsAndResumeGoesOn) {
  plan_.failing_samples = {"x1"};
  RunOptions options;
  options.max_failures = 1;
  const SweepOutcome stopped = run(config(), options);
  EXPECT_TRUE(stopped.stopped);
  EXPECT_EQ(stopped.exit_code(), 2);
  EXPECT_EQ(plan_.evaluated, (Texts{"x0", "x1"}));
  EXPECT_EQ(stopped.failed_cells, 21);
  EXPECT_EQ(stopped.undone_cells, 4 * 21);
  EXPECT_EQ(stored().records.size(), 2U * 21);
  plan_ = FakePlan{};
  EXPECT_EQ(resume(config()).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated.size(), 11U);
}

TEST_F(Failures, FailuresAreCountedOnceForWhatTheyCause) {
  // Two cells of x0; then x1 whole.
  plan_.failing = {{"one-fp32/x/h2o/0.2", "x0"}, {"one-fp32/x/h2o/0.5", "x0"}};
  plan_.failing_samples = {"x1"};
  RunOptions options;
  options.max_failures = 4;
  EXPECT_FALSE(run(small(), options).stopped);
  std::filesystem::remove_all(output_);
  plan_.evaluated.clear();
  options.max_failures = 3;
  const SweepOutcome three = run(small(), options);
  EXPECT_TRUE(three.stopped);
  EXPECT_EQ(plan_.evaluated, (Texts{"x0", "x1"}));
  // A full cache that fails takes the others with it, and is one failure.
  std::filesystem::remove_all(output_);
  plan_ = FakePlan{};
  plan_.failing = {{"one-fp32/x/full", "x0"}};
  options.max_failures = 2;
  EXPECT_FALSE(run(small(), options).stopped);
  // Stopped by the very last sample, nothing is left undone.
  std::filesystem::remove_all(output_);
  plan_ = FakePlan{};
  plan_.failing_samples = {"x2"};
  options.max_failures = 1;
  const SweepOutcome last = run(small(), options);
  EXPECT_FALSE(last.stopped);
  EXPECT_EQ(last.exit_code(), 2);
}

TEST_F(Failures, AProblemOfOneModelIsRefusedOrRecorded) {
  plan_.too_long = {{"two", "x1"}};
  EXPECT_ERROR(run(config()), "sample x1 is too long");
  EXPECT_EQ(plan_.opened, 0);
  SweepConfig going = config();
  for (DataOptions& data : going.data) data.on_problem = OnProblem::kRecord;
  RunOptions options;
  options.max_failures = 1;  // what was known before does not count
  const SweepOutcome result = run(going, options);
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(result.exit_code(), 2);
  EXPECT_EQ(result.failed_cells, 21);
  EXPECT_EQ(outcome("two-fp32/x/full", "x1").error, "sample x1 is too long");
  EXPECT_EQ(outcome("two-fp32/x/full", "x1").failure, Failure::kSample);
  EXPECT_EQ(outcome("one-fp32/x/full", "x1").error, "");
  EXPECT_EQ(plan_.evaluated.size(), 11U);
  // Mended, it is evaluated like any other.
  plan_ = FakePlan{};
  EXPECT_EQ(resume(going).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, Texts{"x1"});
  // Nothing to evaluate is no sweep.
  plan_.too_long = {{"two", "x0"}, {"two", "x1"}, {"two", "x2"}};
  EXPECT_ERROR(run(going), "sample x0 is too long");
}

TEST_F(Failures, AMendedSampleMayHaveAnotherContent) {
  plan_.failing_samples = {"x1"};
  run(small());
  std::string text = read_file(folder_.path() / "x.jsonl");
  text.replace(text.find("answer 1"), 8, "answer X");
  folder_.write("x.jsonl", text);
  plan_ = FakePlan{};
  EXPECT_EQ(resume(small()).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, Texts{"x1"});
}

TEST_F(Failures, OnlyTheSamplesThatAreAskedFor) {
  EXPECT_EQ(run_samples(config(), {"x2"}).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, (Texts{"x2", "x2"}));
  const StoredSweep sweep = stored();
  EXPECT_EQ(sweep.records.size(), 2U * 21);
  EXPECT_EQ(sweep.header.data.size(), 1U);
  EXPECT_EQ(sweep.header.data.at("x").samples, Texts{"x2"});
  EXPECT_NE(read_file(folder_.path() / "log")
                .find("data set y is left out: it has none of the samples\n"),
            std::string::npos);
  EXPECT_ERROR(run_samples(config(), {"x2", "x9"}),
               "--sample-id x9: no data set of the sweep has that sample; did you mean 'x0'?");
  EXPECT_ERROR(run_samples(config(), {"strange"}),
               "--sample-id strange: no data set of the sweep has that sample among its 6");
}

TEST_F(Failures, TheErringSampleCanBeRunAgainAlone) {
  plan_.failing_samples = {"x1", "y0"};
  EXPECT_EQ(run(config()).exit_code(), 2);
  plan_ = FakePlan{};
  EXPECT_EQ(run_samples(config(), {"x1"}, /*resume=*/true).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, (Texts{"x1", "x1"}));
  // The folder is still about everything.
  const StoredSweep sweep = stored();
  EXPECT_EQ(sweep.header.data.at("x").samples, (Texts{"x0", "x1", "x2"}));
  EXPECT_EQ(sweep.header.data.at("y").samples, (Texts{"y0", "y1", "y2"}));
  EXPECT_EQ(sweep.header.config, config().json());
  EXPECT_TRUE(sweep.records.find("two-fp32/y/full", "y0")->failed());
  EXPECT_FALSE(sweep.records.find("two-fp32/x/full", "x1")->failed());
}

TEST_F(Failures, ASampleBeyondTheLimitWidensTheFolder) {
  run(config({"data.limit=1"}));
  plan_ = FakePlan{};
  run_samples(config({"data.limit=1"}), {"x2"}, /*resume=*/true);
  EXPECT_EQ(plan_.evaluated, (Texts{"x2", "x2"}));
  EXPECT_EQ(stored().header.data.at("x").samples, (Texts{"x0", "x2"}));
  EXPECT_EQ(stored().header.data.at("y").samples, Texts{"y0"});
}

TEST_F(Failures, ExcludedCellsAreNeitherRunNorRecorded) {
  const SweepConfig sweep =
      config({"matrix.exclude=[{model: one, data: x}, {data: y, strategy: [full, random]}]"});
  EXPECT_EQ(run(sweep).exit_code(), 0);
  const StoredSweep kept = stored();
  EXPECT_EQ(kept.records.size(), 3U * (21 + 2 * 16));
  for (const Record& record : kept.records) {
    EXPECT_FALSE(record.cell.starts_with("one-fp32/x/")) << record.cell;
    EXPECT_EQ(record.cell.find("/y/random"), std::string::npos) << record.cell;
    EXPECT_EQ(record.hidden, record.cell.ends_with("/y/(full)")) << record.cell;
  }
  // The chosen sample's data set goes without what is said of the other.
  std::filesystem::remove_all(output_);
  EXPECT_EQ(run_samples(sweep, {"x0"}).exit_code(), 0);
  EXPECT_EQ(stored().records.size(), 21U);
  const SweepConfig none = config({"matrix.exclude={data: x}"});
  std::filesystem::remove_all(output_);
  EXPECT_ERROR(run_samples(none, {"x0"}), "--sample-id x0: every cell of its data set is excluded");
}

}  // namespace
}  // namespace elastikv
