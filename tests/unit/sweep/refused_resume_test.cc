#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/records.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

/// A sweep of two data sets of three samples, stopped after the first sample, to be resumed by a
/// run that must not be.
class RefusedResume : public testing::Test {
 protected:
  RefusedResume() {
    for (const std::string name : {"x", "y"}) {
      std::string lines;
      for (int i = 0; i < 3; ++i) {
        lines += fmt::format(
            "{{\"id\": \"{0}{1}\", \"question\": \"q\", \"answer\": \"answer {1}\"}}\n", name, i);
      }
      folder_.write(name + ".jsonl", lines);
    }
  }

  SweepConfig config(const std::string& more = "") const {
    const std::string data = folder_.path().string() + "/";
    SweepOverrides overrides;
    overrides.output = output();
    return parse_sweep("name: test\nmodels: {path: m}\ndata: {path: [" + data + "x.jsonl, " + data +
                           "y.jsonl]}\nstrategies: [full, elastic]\nbudgets: {keep: 0.2}\n" + more,
                       "s.yaml", overrides);
  }
  SweepOutcome run(const SweepConfig& config, RunOptions options = {}) {
    options.provenance["started"] = std::to_string(++runs_);
    return run_quietly(config, options, FakeEngines(plan_));
  }
  SweepOutcome resume(const SweepConfig& config) {
    RunOptions options;
    options.resume = true;
    return run(config, options);
  }
  /// Four samples are done, and the file ends in the middle of a line.
  void run_a_part() {
    plan_.crash_at = 4;
    EXPECT_THROW(run(config()), Crash);
    plan_ = FakePlan{};
    folder_.write("out/records.jsonl", read_file(output() / "records.jsonl") + "{\"cell\": \"m");
    folder_.write("out/details.jsonl", read_file(output() / "details.jsonl") + "{\"mod");
  }
  void edit(const std::string& file, const std::string& from, const std::string& to) const {
    std::string text = read_file(folder_.path() / file);
    ASSERT_NE(text.find(from), std::string::npos);
    text.replace(text.find(from), from.size(), to);
    folder_.write(file, text);
  }

  fs::path output() const { return folder_.path() / "out"; }
  /// Every file of the output folder.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::directory_iterator(output()))
      all[entry.path().filename().string()] = read_file(entry.path());
    return all;
  }
  void expect_refused(const SweepConfig& config, const std::string& why) {
    const auto before = files();
    EXPECT_ERROR_CONTAINS(resume(config), why);
    EXPECT_EQ(files(), before);
    EXPECT_EQ(plan_.opened, 0) << "no weights load for a run that is refused";
  }

  TemporaryFolder folder_;
  FakePlan plan_;
  int runs_ = 0;
};

TEST_F(RefusedResume, AnotherAnswerUnderTheSameId) {
  run_a_part();
  edit("x.jsonl", "answer 1", "answer X");
  expect_refused(config(), "sample 'x1' of x was recorded with another question, answer or image");
}

TEST_F(RefusedResume, AnotherAnswerInADataSetThatIsReachedLater) {
  run_a_part();
  edit("y.jsonl", "answer 0", "answer X");
  expect_refused(config(), "sample 'y0' of y was recorded with another question, answer or image");
}

TEST_F(RefusedResume, OtherWeightsStrategiesOrSettings) {
  run_a_part();
  plan_.weights = "weights-2";
  expect_refused(config(), "its records of model 'm-fp32' were made with other weights");
  plan_ = FakePlan{};
  plan_.strategy_version = "2";
  expect_refused(config(), "were made with other parameters of 'full'");
  plan_ = FakePlan{};
  expect_refused(config("generation: {max_new_tokens: 3}\n"), "with other settings (generation)");
}

/// A preset's file may change while one group's records are complete and the other's are not.
TEST_F(RefusedResume, AnotherStrategyThoughItsGroupIsComplete) {
  run(config());
  plan_ = FakePlan{};
  plan_.strategy_version = "2";
  expect_refused(config(), "were made with other parameters of 'full'");
  EXPECT_EQ(plan_.hashed, 0) << "nothing is to be done, so the weights need not be read";
}

TEST_F(RefusedResume, AnotherRevisionOfAPart) {
  run_a_part();
  edit("out/sweep.json", "\"importance/attention\": 1", "\"importance/attention\": 7");
  expect_refused(config(),
                 output().string() +
                     ": holds records made with another importance/attention (revision 7, this "
                     "program has 1), which gives other results; use another --output");
}

TEST_F(RefusedResume, AProgramThatKeptNoRevisions) {
  run_a_part();
  nlohmann::ordered_json header = nlohmann::ordered_json::parse(read_file(output() / "sweep.json"));
  header["format"] = "elastikv-sweep-2";
  header.erase("revisions");
  folder_.write("out/sweep.json", header.dump());
  expect_refused(config(), "holds records of an earlier program, which kept no revisions");
  // Its tables can still be made.
  EXPECT_EQ(read_stored_sweep(output()).records.size(), 4U * 2);
}

TEST_F(RefusedResume, WithoutResume) {
  run_a_part();
  const auto before = files();
  EXPECT_ERROR_CONTAINS(run(config()), "use --resume to continue it, or another --output");
  EXPECT_EQ(files(), before);
}

TEST_F(RefusedResume, AFolderThatARefusedRunMadeIsGone) {
  const fs::path deep = output() / "a/b";
  SweepConfig sweep = config();
  sweep.output = deep;
  plan_.unopenable = "no room for the weights";
  EXPECT_ERROR(run(sweep), "no room for the weights");
  EXPECT_FALSE(fs::exists(output()));
  fs::create_directories(output());
  folder_.write("out/notes.txt", "mine");
  EXPECT_ERROR(run(sweep), "no room for the weights");
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(RefusedResume, WhatIsNotRefusedGoesOnAndMendsTheTornLines) {
  run_a_part();
  plan_.evaluated.clear();
  EXPECT_EQ(resume(config()).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, (std::vector<std::string>{"y1", "y2"}));
  const StoredSweep stored = read_stored_sweep(output());
  EXPECT_EQ(stored.records.size(), 6U * 2);
  EXPECT_EQ(stored.details.size(), 4U);
  EXPECT_EQ(stored.header.revisions.at("reader/qa"), 1);
  EXPECT_EQ(stored.header.revisions.at("metric/ppl"), 1);
}

TEST_F(RefusedResume, RecordsSayWhichCommitMadeThem) {
  RunOptions first;
  first.commit = "abc1234";
  plan_.crash_at = 4;
  EXPECT_THROW(run(config(), first), Crash);
  plan_ = FakePlan{};
  RunOptions second;
  second.commit = "def5678 (modified)";
  second.resume = true;
  run(config(), second);
  const StoredSweep stored = read_stored_sweep(output());
  EXPECT_EQ(stored.records.find("m-fp32/x/full", "x0")->commit, "abc1234");
  EXPECT_EQ(stored.records.find("m-fp32/y/full", "y2")->commit, "def5678 (modified)");
}

TEST_F(RefusedResume, AnOutputFolderThatIsCompleteReadsNoWeights) {
  run(config());
  plan_ = FakePlan{};
  EXPECT_EQ(resume(config()).exit_code(), 0);
  EXPECT_EQ(plan_.hashed, 0);
  EXPECT_EQ(plan_.opened, 0);
}

}  // namespace
}  // namespace elastikv
