#include "report/rank_agreement.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "report/report.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

/// How many of the first of `total` items a strategy answers rightly.
int right_answers(const std::string& strategy, int total) {
  if (strategy == "h2o") return total - 1;
  if (strategy == "elastic") return total / 2;
  return strategy == "random" ? 1 : 0;
}

/// Two data sets about the same twelve images. The second one's questions are ordered as the
/// first one's are, or the other way round.
class RankAgreements : public testing::Test {
 protected:
  void sweep(bool reversed, const std::string& strategies = "[full, h2o, elastic, random]",
             const std::string& perplexity = "false") {
    for (const char* name : {"first", "second"}) {
      std::string items;
      for (int i = 0; i < 12; ++i) {
        items += R"({"id": "image)" + std::to_string(10 + i) +
                 (std::string_view(name) == "first" ? "" : "#2") + R"(", "question": "q)" +
                 std::to_string(i) + R"(", "answer": "yes"})" + "\n";
      }
      folder_.write(std::string(name) + ".jsonl", items);
    }
    plan_.spoil = [reversed](const Sample& sample, const Cell& cell, CellOutcome& outcome) {
      const int number = std::stoi(sample.id.substr(5, 2)) - 10;
      const bool second = sample.id.ends_with("#2");
      const int rightly = right_answers(cell.strategy.label, 12);
      const int wanted = second && reversed ? 12 - rightly : rightly;
      const bool right = cell.is_full() || number < wanted;
      outcome.text = right ? "yes" : "no";
      // Answered rightly is predicted well, in every sample by another margin.
      outcome.nll_sum = (right ? 0.1 : 1) * static_cast<double>(outcome.scored_tokens) +
                        0.001 * static_cast<double>(number);
    };
    const std::string at = folder_.path().string();
    const SweepConfig config =
        parse_sweep("models: {path: models/tiny}\ndata:\n  - {path: " + at +
                        "/first.jsonl, metrics: [exact-match]}\n  - {path: " + at +
                        "/second.jsonl, metrics: [exact-match]}\nstrategies: " + strategies +
                        "\nbudgets: {keep: [0.2, 0.5]}\nmetrics: {perplexity: " + perplexity +
                        "}\noutput: " + at + "/out\n",
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

TEST_F(RankAgreements, OfMeasuresThatAgree) {
  sweep(/*reversed=*/false);
  const auto agreements = rank_agreements(groups_, Compared::kAll);
  ASSERT_EQ(agreements.size(), 3U);  // over all budgets, and at two
  EXPECT_EQ(agreements[0].budget, "all");
  EXPECT_EQ(agreements[1].budget, "0.2");
  EXPECT_EQ(agreements[2].budget, "0.5");
  EXPECT_EQ(agreements[0].a.name(), "exact-match of first");
  EXPECT_EQ(agreements[0].b.name(), "exact-match of second");
  EXPECT_DOUBLE_EQ(agreements[0].correlation.tau, 1);
  EXPECT_EQ(agreements[0].correlation.rankings, 2);
  ASSERT_TRUE(agreements[0].correlation.interval);
  // The same images are drawn for both, so that no resample parts them; without that it would.
  EXPECT_DOUBLE_EQ(agreements[0].correlation.interval->low, 1);
  EXPECT_EQ(agreements[0].strategies, 3);
  EXPECT_EQ(agreements[0].told_apart, agreements[0].alike);
  EXPECT_EQ(agreements[0].told_apart, agreements[1].told_apart + agreements[2].told_apart);
  EXPECT_GE(agreements[1].told_apart, 2);
}

TEST_F(RankAgreements, OfMeasuresThatDisagree) {
  sweep(/*reversed=*/true);
  const auto agreements = rank_agreements(groups_, Compared::kAgainstFirst);
  ASSERT_EQ(agreements.size(), 3U);
  EXPECT_DOUBLE_EQ(agreements[1].correlation.tau, -1);
  EXPECT_GE(agreements[1].told_apart, 2);
  EXPECT_EQ(agreements[1].alike, 0);
}

TEST_F(RankAgreements, OfPerplexityAndAnswers) {
  sweep(/*reversed=*/false, "[full, h2o, elastic, random]", "true");
  std::vector<std::string> against_first;
  for (const RankAgreement& one : rank_agreements(groups_, Compared::kAgainstFirst)) {
    if (one.budget != "all") continue;
    EXPECT_EQ(one.a.name(), "ppl of first");
    EXPECT_DOUBLE_EQ(one.correlation.tau, 1) << one.b.name();
    against_first.push_back(one.b.name());
  }
  EXPECT_EQ(against_first, (std::vector<std::string>{"exact-match of first", "ppl of second",
                                                     "exact-match of second"}));
}

TEST_F(RankAgreements, StandInEveryForm) {
  sweep(/*reversed=*/true);
  const Report report = make_report(runs_, report_forms());
  const auto text_of = [&](const std::string& name) {
    for (const ReportFile& file : report.files) {
      if (file.name == name) return file.text;
    }
    return std::string();
  };
  EXPECT_NE(text_of("report.md").find("## tiny-fp32: the order of the strategies"),
            std::string::npos);
  EXPECT_NE(text_of("report.md").find("exact-match of second |     -1.000 [-1.000, -1.000]*"),
            std::string::npos)
      << text_of("report.md").substr(text_of("report.md").find("the order of"));
  EXPECT_NE(text_of("report.html").find("<h2>tiny-fp32: the order of the strategies</h2>"),
            std::string::npos);
  EXPECT_NE(text_of("rank-agreement.csv")
                .find("tiny-fp32,first,exact-match,second,exact-match,all,3,-1,-1,-1,"),
            std::string::npos)
      << text_of("rank-agreement.csv");
}

TEST_F(RankAgreements, NeedThreeStrategies) {
  sweep(/*reversed=*/false, "[full, h2o, elastic]");
  EXPECT_TRUE(rank_agreements(groups_, Compared::kAll).empty());
  const Report report = make_report(runs_, report_forms());
  for (const ReportFile& file : report.files) EXPECT_NE(file.name, "rank-agreement.csv");
}

}  // namespace
}  // namespace elastikv
