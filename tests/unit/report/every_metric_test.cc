// What holds of every metric that is registered, whatever it measures.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "metrics/metric_set.h"
#include "metrics/text_metrics.h"
#include "report/report.h"
#include "report/svg.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

std::vector<std::string> all_text_metrics() {
  std::vector<std::string> names = text_metric_names();
  names.insert(names.end(), task_metric_names().begin(), task_metric_names().end());
  return names;
}

/// All metrics at once.
MetricChoice everything() {
  MetricChoice choice;
  choice.text = all_text_metrics();
  return choice;
}

ModelOutput output_of(const std::string& text, std::vector<int64_t> ids, float nll) {
  ModelOutput output;
  output.text = text;
  output.token_ids = std::move(ids);
  output.nll = {nll, 2 * nll, 3 * nll};
  output.nll_sum = 6 * static_cast<double>(nll);
  output.scored_tokens = 3;
  return output;
}

TEST(EveryMetric, ReadsTheSameFromARecordsLine) {
  const MetricSet set(everything());
  const ModelOutput full = output_of("A dog runs. It barks.", {1, 2, 3, 4}, 0.5F);
  Record record;
  static_cast<ModelOutput&>(record.outcome) =
      output_of("A dog ran. It barks at us.", {1, 2, 9, 4, 5}, 0.75F);
  record.outcome.mean_kl = 0.125;
  std::vector<TextPair> texts;
  texts.emplace_back(full.text, record.outcome.text);
  const Question question{.answer = "yes", .references = {"yes", "A dog"}, .options = {"yes"}};
  record.scores = set.score({record.outcome, full, texts, question}, /*is_full=*/false);
  const std::string line = record_line(record, set.scorers());
  const Record read = parse_record(line, set.scorers(), "f:1");
  EXPECT_EQ(read.scores, record.scores);
  EXPECT_EQ(record_line(read, set.scorers()), line);
  const MeasuredSample was{record.outcome, record.scores, &question};
  const MeasuredSample is{read.outcome, read.scores, &question};
  for (const auto& metric : set.metrics()) {
    const Measurement before = metric->measure({&was, 1}, {}, Bootstrap(10));
    const Measurement after = metric->measure({&is, 1}, {}, Bootstrap(10));
    ASSERT_TRUE(before.value) << metric->traits().name;
    EXPECT_EQ(before.value, after.value) << metric->traits().name;
    EXPECT_EQ(before.more, after.more) << metric->traits().name;
    EXPECT_EQ(before.more.size(), metric->traits().more.size()) << metric->traits().name;
    EXPECT_EQ(before.undefined, after.undefined) << metric->traits().name;
  }
}

TEST(EveryMetric, HasANameOfItsOwn) {
  const MetricSet set(everything());
  std::set<std::string> names;
  std::set<std::string> difference_names;
  for (const auto& metric : set.metrics()) {
    const MetricTraits& traits = metric->traits();
    EXPECT_TRUE(names.insert(traits.name).second) << traits.name;
    EXPECT_TRUE(difference_names.insert(traits.difference_name).second) << traits.name;
    EXPECT_FALSE(traits.title.empty() || traits.short_title.empty() || traits.label.empty())
        << traits.name;
    EXPECT_FALSE(traits.difference_title.empty()) << traits.name;
    EXPECT_TRUE(traits.reference == "full-cache" || traits.reference == "dataset") << traits.name;
    EXPECT_TRUE(metric->signature({}).ends_with("|ref:" + traits.reference)) << traits.name;
    EXPECT_TRUE(metric->signature({}).starts_with(traits.name + " ")) << metric->signature({});
  }
  std::set<std::string> places;
  for (const auto& scorer : set.scorers())
    EXPECT_TRUE(places.insert(scorer->section() + "/" + scorer->name()).second);
}

/// A report of a sweep of all metrics.
class EveryMetricsTables : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    TemporaryFolder folder;
    std::string lines;
    for (int i = 0; i < 5; ++i) {
      lines += fmt::format(
          "{{\"id\": \"s{0}\", \"question\": \"q\", \"answer\": \"answer {0}\", \"category\": "
          "\"c\", \"options\": [\"answer {0}\", \"another one\"]}}\n",
          i);
    }
    const std::filesystem::path data = folder.write("data.jsonl", lines);
    SweepOverrides overrides;
    overrides.output = folder.path() / "out";
    const SweepConfig config = parse_sweep(
        fmt::format("name: test\nmodels: {{path: m}}\ndata: {{path: {}, name: d, answer_by: "
                    "likelihood, columns: {{id: id, question: question, answer: answer, options: "
                    "options, categories: category}}}}\nstrategies: "
                    "[full, elastic, h2o]\nbudgets: {{keep: 0.5}}\nmetrics: {{text: [{}]}}\n",
                    data.string(), fmt::join(all_text_metrics(), ", ")),
        "s.yaml", overrides);
    FakePlan plan;
    run_quietly(config, {}, FakeEngines(plan));
    report_ = make_report(read_stored_sweep(config.output));
    set_.emplace(config.metrics);
  }
  static void TearDownTestSuite() { set_.reset(); }

  /// Empty when there is none.
  static std::string file(const std::string& name) {
    for (const ReportFile& one : report_.files) {
      if (one.name == name) return one.text;
    }
    return "";
  }
  static bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  static inline Report report_;
  static inline std::optional<MetricSet> set_;
};

TEST_F(EveryMetricsTables, ShowIt) {
  const std::string cells = file("cells.csv");
  const std::string header = "," + cells.substr(0, cells.find('\n')) + ",";
  for (const auto& metric : set_->metrics()) {
    const MetricTraits& traits = metric->traits();
    const std::string table = file(traits.name + ".csv");
    EXPECT_TRUE(holds(table, "\nm-fp32,d,elastic,")) << traits.name;
    std::string column = traits.name;
    if (column == "mean_kl") column = "kl";
    if (column == "first_divergence") column = "divergence";
    EXPECT_TRUE(holds(header, "," + column + ",")) << traits.name;
    for (const std::string& more : traits.more)
      EXPECT_TRUE(holds(header, "," + more + ",")) << traits.name;
    EXPECT_TRUE(holds(file("measures.csv"), "\nm-fp32,d," + traits.name + ",")) << traits.name;
    EXPECT_TRUE(holds(file("report.md"), "### " + traits.title)) << traits.name;
    EXPECT_TRUE(holds(file("report.html"), "<h3>" + xml_escape(traits.title))) << traits.name;
    EXPECT_EQ(holds(report_.summary, "### " + traits.title), traits.in_summary) << traits.name;
    EXPECT_EQ(holds(file("categories.csv"), ",elastic,0.5," + traits.name + ","), traits.in_summary)
        << traits.name;
    for (const char* differences : {"differences.csv", "pairs.csv"}) {
      EXPECT_EQ(holds(file(differences), "," + traits.difference_name + ","), traits.in_pairs)
          << traits.name;
    }
    std::string latex = fmt::format("table-{}.tex", traits.name);
    std::replace(latex.begin(), latex.end(), '_', '-');
    EXPECT_FALSE(file(latex).empty()) << latex;
  }
}

TEST_F(EveryMetricsTables, SayWhatWasScoredOfOptions) {
  EXPECT_TRUE(holds(file("report.md"),
                    "choice-likelihood type:choice|rule:log-likelihood|norm:none|options:"
                    "letter-and-text|agg:mean|"));
  EXPECT_TRUE(holds(file("report.html"), "log likelihoods: A -"));
}

// Of what is right or wrong, and of nothing else.
TEST_F(EveryMetricsTables, HaveMcNemarsPWhereSamplesAreRightOrWrong) {
  for (const char* name : {"differences.csv", "pairs.csv"}) {
    const std::string table = file(name);
    const std::string header = table.substr(0, table.find('\n'));
    EXPECT_TRUE(header.ends_with(",samples,p_mcnemar")) << header;
    for (const auto& metric : set_->metrics()) {
      const MetricTraits& traits = metric->traits();
      if (!traits.in_pairs) continue;
      const size_t begin = table.find("," + traits.difference_name + ",");
      ASSERT_NE(begin, std::string::npos) << traits.name;
      const std::string row = table.substr(begin, table.find('\n', begin) - begin);
      EXPECT_NE(row.ends_with(","), traits.right_or_wrong) << row;
    }
  }
}

}  // namespace
}  // namespace elastikv
