// Data sets that are answered by the likelihoods of options: keys, records, exports, a sweep.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/config.h"
#include "sweep/estimate.h"
#include "sweep/plan.h"
#include "sweep/predictions.h"
#include "sweep/records.h"
#include "sweep/runner.h"
#include "sweep/trial.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;
using Json = nlohmann::json;

SweepConfig parse(const std::string& data, const std::string& tail = "") {
  return parse_sweep("models: {path: m}\ndata: " + data +
                         "\nstrategies: [full, elastic]\nbudgets: {keep: 0.5}\n" + tail,
                     "s.yaml");
}

TEST(LikelihoodKeys, NameTheMetricsThatJudgeIt) {
  const SweepConfig config = parse("{path: q.tsv, answer_by: likelihood}");
  EXPECT_TRUE(config.data[0].by_likelihood());
  EXPECT_EQ(config.data[0].scored_text(), OptionText::kLetterAndText);
  EXPECT_EQ(config.metrics.text,
            (Texts{"choice-likelihood", "choice-likelihood-per-character", "loyalty"}));
  EXPECT_TRUE(config.data[0].needs_answers);
  EXPECT_EQ(parse_sweep(config.json(), "sweep.json").json(), config.json());
  EXPECT_NE(parse("{path: q.tsv, answer_by: likelihood, option_text: letter}").records_hash(),
            config.records_hash());
  const SweepConfig own =
      parse("{path: q.tsv, answer_by: likelihood, metrics: [choice-likelihood-per-byte]}");
  EXPECT_EQ(own.metrics.text, (Texts{"choice-likelihood-per-byte", "loyalty"}));
  // Earlier sweeps stay what they were.
  const SweepConfig texts = parse("{path: q.tsv}");
  EXPECT_EQ(texts.json().find("answer_by"), std::string::npos);
  EXPECT_EQ(texts.json().find("option_text"), std::string::npos);
  EXPECT_FALSE(texts.data[0].by_likelihood());
}

TEST(LikelihoodKeys, StandBesideDataSetsThatTextsAnswer) {
  const SweepConfig config = parse(
      "[{path: q.tsv, name: a, answer_by: likelihood}, {path: r.tsv, name: b, metrics: "
      "[vqa-accuracy]}]");
  EXPECT_EQ(metrics_of_others(config, config.data[1]),
            (std::set<std::string>{"choice-likelihood", "choice-likelihood-per-character"}));
  EXPECT_EQ(metrics_of_others(config, config.data[0]), (std::set<std::string>{"vqa-accuracy"}));
}

TEST(LikelihoodKeys, AreRefusedWhereTextsAnswer) {
  EXPECT_ERROR(parse("{path: q.tsv, answer_by: likelyhood}"),
               "s.yaml:2: key 'data.answer_by' is 'likelyhood', needs text or likelihood");
  EXPECT_ERROR(parse("{path: q.tsv, option_text: letter}"),
               "s.yaml:2: key 'data.option_text' speaks of options that are scored, which takes "
               "answer_by: likelihood");
  EXPECT_ERROR(parse("{path: q.tsv, metrics: [choice-likelihood]}"),
               "s.yaml:2: key 'data.metrics' asks for 'choice-likelihood', which judges the "
               "likelihoods of options: it takes answer_by: likelihood");
  EXPECT_ERROR(parse("{path: q.tsv, name: d}", "metrics: {text: [choice-likelihood]}\n"),
               "s.yaml:5: key 'metrics.text' asks for 'choice-likelihood', which judges the "
               "likelihoods of options, and data set 'd' is answered by texts: it takes answer_by: "
               "likelihood");
}

TEST(LikelihoodRecords, KeepEveryOption) {
  Record record;
  record.cell = "c";
  record.sample = "s";
  record.outcome.options = {{'A', -1.25, 3, 6, 5}, {'B', -0.1, 1, 1, 1}};
  const std::string line = record_line(record, {});
  EXPECT_NE(line.find(R"("options":[{"letter":"A","log_likelihood":-1.25,"tokens":3,"bytes":6,)"
                      R"("characters":5},{"letter":"B")"),
            std::string::npos)
      << line;
  const Record read = parse_record(line, {}, "f:1");
  EXPECT_EQ(read.outcome.options, record.outcome.options);
  EXPECT_EQ(record_line(read, {}), line);
  record.outcome.options.clear();
  EXPECT_EQ(record_line(record, {}).find("options"), std::string::npos);
  std::string damaged = line;
  damaged.replace(damaged.find("\"A\""), 3, "\"AB\"");
  EXPECT_ERROR(parse_record(damaged, {}, "f:1"),
               "f:1: damaged record: key 'letter' is no letter; remove the line and use --resume");
}

class LikelihoodSweep : public testing::Test {
 protected:
  LikelihoodSweep() {
    std::string rows = "q\tw\tA\tB\tC\n";
    for (int i = 0; i < 12; ++i)
      rows += "q" + std::to_string(i) + "\t" + "ABC"[i % 3] + "\tred\tgreen\tblue\n";
    data_ = folder_.write("data.tsv", rows);
  }
  SweepConfig config() const {
    SweepOverrides overrides;
    overrides.output = folder_.path() / "out";
    return parse_sweep("name: test\nmodels: {path: m}\ndata: {path: " + data_.string() +
                           ", name: d, answer_by: likelihood, option_text: text, columns: "
                           "{question: q, answer: w, options: [A, B, C]}}\nstrategies: [full, "
                           "elastic]\nbudgets: {keep: 0.5}\ndetails: {samples: 0}\n",
                       "s.yaml", overrides);
  }
  SweepOutcome run(bool resume = false) {
    RunOptions options;
    options.resume = resume;
    return run_quietly(config(), options, FakeEngines(plan_));
  }
  std::string records() const { return read_file(folder_.path() / "out/records.jsonl"); }

  TemporaryFolder folder_;
  std::filesystem::path data_;
  FakePlan plan_;
};

TEST_F(LikelihoodSweep, IsPlannedWithoutTexts) {
  const SweepConfig sweep = config();
  const CellGroup group = plan_cells(sweep).at(0);
  const GroupCost cost = cost_of(group, read_data(group.data), /*problems=*/{}, sweep);
  EXPECT_EQ(cost.decoded_tokens, 0);
  // Of each sample "red", "green" and "blue", and the right one as perplexity scores it.
  EXPECT_EQ(cost.answer_characters, 12 * 12 + 4 * (6 + 8 + 7));

  SampleSize sample{.prompt_tokens = 100, .answer_tokens = 3, .option_tokens = {4, 9, 2}};
  EXPECT_EQ(sample.option_steps(), 8);
  EvaluationSettings settings;
  settings.max_new_tokens = 50;
  EXPECT_EQ(new_tokens(settings, sample), 50);
  settings.generate = false;
  settings.choose = true;
  EXPECT_EQ(new_tokens(settings, sample), 9);
  Trial trial{.scored_token_seconds = 2, .step_seconds = 1000, .tower_operations_per_second = 1};
  settings = EvaluationSettings{.perplexity = false};
  EXPECT_EQ(trial.seconds(settings, {}, sample), 2 * 8 * 3);
}

TEST_F(LikelihoodSweep, JudgesTheLikeliestOption) {
  EXPECT_EQ(run().exit_code(), 0);
  const StoredSweep stored = read_stored_sweep(folder_.path() / "out");
  int right = 0;
  int loyal = 0;
  for (int i = 0; i < 12; ++i) {
    const std::string id = std::to_string(i);
    const Record* full = stored.records.find("m-fp32/d/full", id);
    const Record* elastic = stored.records.find("m-fp32/d/elastic/0.5", id);
    ASSERT_NE(elastic, nullptr);
    ASSERT_EQ(elastic->outcome.options.size(), 3U);
    const Texts texts{"red", "green", "blue"};
    right += elastic->outcome.text == texts[static_cast<size_t>(i % 3)] ? 1 : 0;
    loyal += elastic->outcome.text == full->outcome.text ? 1 : 0;
  }
  double found_right = 0;
  double found_loyal = 0;
  for (const Record& record : stored.records) {
    if (record.cell != "m-fp32/d/elastic/0.5") continue;
    found_right += record.scores.at(0)->front();
    found_loyal += record.scores.at(2)->front();
  }
  EXPECT_EQ(found_right, right);
  EXPECT_EQ(found_loyal, loyal);
}

TEST_F(LikelihoodSweep, IsResumedAndExported) {
  run();
  const std::string whole = records();
  // The last sample is missing in one cell: it is evaluated again, and that cell alone is added.
  const size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  write_file_atomically(folder_.path() / "out/records.jsonl", whole.substr(0, last));
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
  EXPECT_EQ(records().size(), whole.size());
  const Predictions predictions(folder_.path() / "out");
  CellSelection selection;
  selection.strategy = "elastic";
  const PredictionFile file =
      predictions.write(predictions.select(selection).at(0), prediction_form("jsonl"));
  const Json first = Json::parse(file.text.substr(0, file.text.find('\n')));
  ASSERT_TRUE(first.at("log_likelihoods").is_object());
  EXPECT_EQ(first.at("log_likelihoods").size(), 3U);
  const auto likelihoods = first.at("log_likelihoods").get<std::map<std::string, double>>();
  for (const auto& [letter, likelihood] : likelihoods) EXPECT_LE(likelihood, 0) << letter;
}

TEST_F(LikelihoodSweep, HasAnInfiniteLikelihoodAsAFailure) {
  plan_.spoil = [](const Sample& sample, const Cell& cell, CellOutcome& outcome) {
    if (sample.id == "4" && !cell.is_full()) outcome.options[1].log_likelihood = -HUGE_VAL;
  };
  EXPECT_EQ(run().exit_code(), 2);
  const StoredSweep stored = read_stored_sweep(folder_.path() / "out");
  EXPECT_EQ(stored.records.find("m-fp32/d/elastic/0.5", "4")->outcome.error,
            "the log likelihood of option B is not finite");
}

}  // namespace
}  // namespace elastikv
