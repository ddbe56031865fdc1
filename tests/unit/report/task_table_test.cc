#include "report/task_table.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "report/report.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

using Row = std::vector<std::string>;

/// Two data sets that name metrics of their own, and one that names none. h2o answers half of the
/// first wrong and nothing of the second right; the full cache answers all but one.
class TaskTables : public testing::Test {
 protected:
  TaskTables() {
    for (const char* name : {"one", "two", "plain"}) {
      std::string items;
      for (int i = 0; i < 4; ++i) {
        items += R"({"id": ")" + std::string(name) + std::to_string(i) + R"(", "question": "q)" +
                 std::to_string(i) + R"(", "answer": "yes"})" + "\n";
      }
      folder_.write(std::string(name) + ".jsonl", items);
    }
    plan_.spoil = [](const Sample& sample, const Cell& cell, CellOutcome& outcome) {
      const int number = sample.id.back() - '0';
      const bool right =
          cell.is_full() ? sample.id != "two3" : sample.id.starts_with("one") && number < 2;
      outcome.text = right ? "yes" : "no";
    };
    const std::string at = folder_.path().string();
    const SweepConfig config = parse_sweep(
        "models: {path: models/tiny}\ndata:\n"
        "  - {path: " +
            at +
            "/one.jsonl, metrics: [exact-match]}\n"
            "  - {path: " +
            at +
            "/two.jsonl, metrics: [yes-no, exact-match]}\n"
            "  - {path: " +
            at +
            "/plain.jsonl}\n"
            "strategies: [full, h2o]\nbudgets: {keep: [0.5]}\noutput: " +
            at + "/out\n",
        "s.yaml");
    run_quietly(config, {}, FakeEngines(plan_));
    runs_ = read_runs({folder_.path() / "out"});
    groups_ = join_runs(runs_);
  }

  TemporaryFolder folder_;
  FakePlan plan_;
  std::vector<ReportRun> runs_;
  std::vector<ReportGroup> groups_;
};

TEST_F(TaskTables, HaveEachDataSetInItsOwnMetric) {
  const std::vector<TaskTable> tables = task_tables(groups_);
  ASSERT_EQ(tables.size(), 1U);
  const Table rows = task_rows(tables[0]);
  EXPECT_EQ(rows.header, (Row{"strategy", "budget", "one (exact-match)", "two (yes-no)",
                              "relative average", "loyalty"}));
  ASSERT_EQ(rows.rows.size(), 2U);
  EXPECT_EQ(Row(rows.rows[0].begin(), rows.rows[0].begin() + 4),
            (Row{"full", "1", "100.0", "75.0"}));
  EXPECT_EQ(Row(rows.rows[1].begin(), rows.rows[1].begin() + 4),
            (Row{"h2o", "0.5", "50.0", "0.0"}));
  // (0.5 / 1 + 0 / 0.75) / 2, and texts that are the full cache's: 2 of 4 and 1 of 4.
  EXPECT_TRUE(rows.rows[1][4].starts_with("25.0 [")) << rows.rows[1][4];
  EXPECT_EQ(rows.rows[1][5], "37.5");
}

TEST_F(TaskTables, LeaveOutWhatADataSetDoesNotAskFor) {
  ASSERT_EQ(groups_.size(), 3U);
  const auto has = [&](size_t group, const char* metric) {
    return find_measure(groups_[group].measures, metric) != nullptr;
  };
  EXPECT_TRUE(has(0, "exact-match") && has(1, "exact-match") && has(1, "yes-no"));
  EXPECT_FALSE(has(0, "yes-no") || has(2, "yes-no") || has(2, "exact-match"));
  EXPECT_TRUE(has(2, "loyalty") && has(2, "ppl"));
}

TEST_F(TaskTables, StandInEveryForm) {
  const Report report = make_report(runs_, report_forms());
  const auto text_of = [&](const std::string& name) {
    for (const ReportFile& file : report.files) {
      if (file.name == name) return file.text;
    }
    return std::string();
  };
  EXPECT_NE(report.summary.find("## tiny-fp32: tasks"), std::string::npos);
  EXPECT_NE(text_of("report.md").find("| h2o      | 0.5    |"), std::string::npos);
  EXPECT_NE(text_of("report.html").find("<h2>tiny-fp32: tasks</h2>"), std::string::npos);
  EXPECT_NE(text_of("table-tasks.tex").find("h2o & 0.5 & \\textbf{50.0} & \\textbf{0.0}"),
            std::string::npos)
      << text_of("table-tasks.tex");
  EXPECT_NE(text_of("report.tex").find("\\input{table-tasks}"), std::string::npos);
  EXPECT_NE(text_of("tasks.csv").find("tiny-fp32,h2o,0.5,one,exact-match,0.5,"), std::string::npos)
      << text_of("tasks.csv");
}

}  // namespace
}  // namespace elastikv
