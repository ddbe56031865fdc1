#include <cstdio>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "base/files.h"
#include "report/report.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

/// What a report says of the program that made the records.
class Commits : public testing::Test {
 protected:
  Commits() {
    folder_.write("x.jsonl", R"({"id": "a", "question": "q", "answer": "one two"})"
                             "\n"
                             R"({"id": "b", "question": "q", "answer": "three"})"
                             "\n");
  }
  std::filesystem::path run(const std::string& name, const std::string& commit, bool resume = false,
                            const std::string& strategies = "full, elastic") {
    SweepOverrides overrides;
    overrides.output = folder_.path() / name;
    const SweepConfig config = parse_sweep(
        "name: test\nmodels: {path: m}\ndata: {path: " + (folder_.path() / "x.jsonl").string() +
            "}\nstrategies: [" + strategies + "]\nbudgets: {keep: 0.2}\n",
        "s.yaml", overrides);
    RunOptions options;
    options.resume = resume;
    options.commit = commit;
    try {
      run_quietly(config, options, FakeEngines(plan_));
    } catch (const Crash&) {
      plan_ = FakePlan{};
    }
    return config.output;
  }
  TemporaryFolder folder_;
  FakePlan plan_;
};

TEST_F(Commits, RecordsOfSeveralCommitsAreSaid) {
  plan_.crash_at = 1;
  run("out", "abc1234");
  run("out", "def5678", /*resume=*/true);
  const std::string note =
      "The records were made by 2 commits of the program, whose parts have the same revisions: "
      "abc1234 (2 records), def5678 (2 records).";
  for (const ReportFile& file : make_report(read_runs({folder_.path() / "out"})).files) {
    // LaTeX has it in the tables' captions.
    if (file.name == "report.md" || file.name == "report.html" || file.name == "table-ppl.tex") {
      EXPECT_NE(file.text.find(note), std::string::npos) << file.name;
    }
  }
}

TEST_F(Commits, RecordsOfOneCommitAreNotWorthALine) {
  run("out", "abc1234");
  const Report report = make_report(read_runs({folder_.path() / "out"}));
  for (const ReportFile& file : report.files)
    EXPECT_EQ(file.text.find("commits of the program"), std::string::npos) << file.name;
}

TEST_F(Commits, RunsWithOtherRevisionsDoNotShareATable) {
  run("one", "abc1234");
  run("two", "abc1234", /*resume=*/false, "full, h2o");
  const auto folders = {folder_.path() / "one", folder_.path() / "two"};
  EXPECT_NE(make_report(read_runs(folders)).summary.find("Joined from one, two"),
            std::string::npos);
  std::string header = read_file(folder_.path() / "two/sweep.json");
  const std::string part = "\"metric/ppl\": 1";
  ASSERT_NE(header.find(part), std::string::npos);
  folder_.write("two/sweep.json",
                header.replace(header.find(part), part.size(), "\"metric/ppl\": 9"));
  const Report apart = make_report(read_runs(folders));
  EXPECT_NE(apart.summary.find(
                "two stands by itself: it has another revision of metric/ppl (9, not 1) than one."),
            std::string::npos)
      << apart.summary;
}

}  // namespace
}  // namespace elastikv
