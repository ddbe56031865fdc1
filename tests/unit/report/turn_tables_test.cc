#include "report/turn_tables.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "report/report.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
using Row = std::vector<std::string>;

/// Five conversations, of which the last has two turns and the others three. Every cell but the
/// full cache is right in the first turn alone; h2o never.
class TurnTables : public testing::Test {
 protected:
  void run(const std::string& turn) {
    std::string items;
    for (int i = 0; i < 5; ++i) {
      Json turns = Json::array();
      for (int t = 0; t < (i == 4 ? 2 : 3); ++t)
        turns.push_back({{"input", "q" + std::to_string(t)}, {"answer", "yes"}});
      items += Json{{"id", "c" + std::to_string(i)}, {"multi_turns", turns}}.dump() + "\n";
    }
    plan_.spoil = [](const Sample& sample, const Cell& cell, CellOutcome& outcome) {
      const bool right =
          cell.is_full() || (sample.turn < 2 && cell.strategy.label == std::string("elastic"));
      outcome.text = right ? "yes" : "no";
    };
    const std::string at = folder_.path().string();
    const SweepConfig config =
        parse_sweep("models: {path: m}\ndata: {path: " + folder_.write("d.jsonl", items).string() +
                        ", name: d, turn: " + turn +
                        ", metrics: [exact-match]}\n"
                        "strategies: [full, elastic, h2o]\nbudgets: {keep: [0.2, 0.5]}\noutput: " +
                        at + "/out\n",
                    "s.yaml");
    run_quietly(config, {}, FakeEngines(plan_));
    runs_ = read_runs({folder_.path() / "out"});
    groups_ = join_runs(runs_);
  }
  const TurnTable* table(const std::string& title) {
    tables_ = turn_tables(groups_.at(0));
    for (const TurnTable& one : tables_) {
      if (one.title == title) return &one;
    }
    return nullptr;
  }

  TemporaryFolder folder_;
  FakePlan plan_;
  std::vector<ReportRun> runs_;
  std::vector<ReportGroup> groups_;
  std::vector<TurnTable> tables_;
};

TEST_F(TurnTables, HaveScoresByTurnWithTheirNumbers) {
  run("conversation");
  const TurnTable* scores = table("exact-match by turn at budget 0.2");
  ASSERT_NE(scores, nullptr);
  EXPECT_EQ(scores->table.header,
            (Row{"strategy", "turn 1 (n=5)", "turn 2 (n=5)", "turn 3 (n=4)"}));
  ASSERT_EQ(scores->table.rows.size(), 3U);
  const auto begins = [](const Row& row, const Row& expected) {
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(row[i].starts_with(expected[i])) << row[i] << ", not " << expected[i];
  };
  begins(scores->table.rows[0], {"full", "1.0", "1.0", "1.0"});
  begins(scores->table.rows[1], {"elastic", "1.0", "0.0", "0.0"});
  begins(scores->table.rows[2], {"h2o", "0.0", "0.0", "0.0"});
  EXPECT_NE(table("Entries when a turn begins, at budget 0.5"), nullptr);
}

TEST_F(TurnTables, DifferencesAreOfOneTurn) {
  run("conversation");
  size_t tables = 0;
  for (const TurnTable& one : turn_tables(groups_.at(0))) {
    if (one.title.find(" by turn minus that of elastic at budget 0.5") == std::string::npos)
      continue;
    ++tables;
    ASSERT_EQ(one.table.rows.size(), 1U) << one.title;
    EXPECT_EQ(one.table.rows[0][0], "h2o");
  }
  EXPECT_GE(tables, 2U);
  const Table all = turn_differences_csv(groups_);
  size_t seen = 0;
  for (const Row& row : all.rows) {
    // model, data, turn, strategy, budget, baseline, measure, difference
    if (row[3] != "h2o" || row[5] != "elastic" || row[6] != "exact-match") continue;
    ++seen;
    EXPECT_EQ(std::stod(row[7]), row[2] == "1" ? -1 : 0) << row[2];
    EXPECT_EQ(row[12], row[2] == "3" ? "4" : "5");
  }
  EXPECT_EQ(seen, 6U);  // three turns at two budgets
}

TEST_F(TurnTables, AreInAllForms) {
  run("conversation");
  const Report report = make_report(runs_);
  const auto file = [&](const std::string& name) {
    for (const ReportFile& one : report.files) {
      if (one.name == name) return one.text;
    }
    return std::string();
  };
  EXPECT_NE(file("report.md").find("### exact-match by turn at budget 0.2"), std::string::npos);
  EXPECT_NE(file("report.html").find("exact-match by turn at budget 0.2"), std::string::npos);
  EXPECT_NE(file("turns.csv").find("\nm-fp32,d,2,5,elastic,0.2,exact-match,0,"), std::string::npos);
  EXPECT_NE(file("turn-differences.csv").find(",full,"), std::string::npos);
  // Shares of a cell's turns make up its share of all.
  const Table turns = turns_csv(groups_);
  double right = 0;
  for (const Row& row : turns.rows) {
    if (row[4] == "elastic" && row[5] == "0.2" && row[6] == "exact-match")
      right += std::stod(row[7]) * std::stod(row[3]);
  }
  EXPECT_EQ(right, 5);
}

TEST_F(TurnTables, ThereAreNoneOfSamplesThatDoNotGoOn) {
  run("all");
  EXPECT_TRUE(turn_tables(groups_.at(0)).empty());
  EXPECT_TRUE(turns_csv(groups_).rows.empty());
  for (const ReportFile& one : make_report(runs_).files)
    EXPECT_FALSE(one.name.starts_with("turn")) << one.name;
}

}  // namespace
}  // namespace elastikv
