// Answers of one token through the whole program, on a small model of random weights whose tokens
// are bytes.
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"
#include "sweep/records.h"

namespace elastikv {
namespace {

constexpr int kSamples = 8;

class OneTokenAnswers : public testing::Test {
 protected:
  OneTokenAnswers() {
    write_tiny_checkpoint(folder_, "model", /*images=*/false);
    std::string lines;
    for (int i = 0; i < kSamples; ++i) {
      lines += nlohmann::json{{"id", fmt::format("s{}", i)},
                              {"question", fmt::format("Is it the letter number {} of many?", i)},
                              {"answer", i % 2 == 0 ? "A" : "It is not."}}
                   .dump() +
               "\n";
    }
    folder_.write("data.jsonl", lines);
    folder_.write("data.txt", "one two three four five six\n");
    sweep_ = folder_
                 .write("sweep.yaml", "models: {path: " + at("model") +
                                          "}\ndata: {path: " + at("data.jsonl") +
                                          ", name: d}\nstrategies: [full, h2o, streaming-llm]\n"
                                          "budgets: {keep: 0.3}\ngeneration: {max_new_tokens: 4}\n")
                 .string();
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  StoredSweep run(const std::string& output, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"sweep", sweep_, "--output", at(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = run_elastikv(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return read_stored_sweep(folder_.path() / output);
  }

  TemporaryFolder folder_;
  std::string sweep_;
};

TEST_F(OneTokenAnswers, AreBlindAndSaidToBe) {
  const StoredSweep stored = run("out");
  for (int i = 0; i < kSamples; i += 2) {
    const std::string id = fmt::format("s{}", i);
    const Record& full = *stored.records.find("model-fp32/d/full", id);
    const Record& h2o = *stored.records.find("model-fp32/d/h2o/0.3", id);
    EXPECT_EQ(full.outcome.scored_tokens, 1);
    EXPECT_EQ(h2o.outcome.nll, full.outcome.nll);
    EXPECT_FALSE(h2o.outcome.mean_kl) << "nothing was compared";
    EXPECT_TRUE(stored.records.find("model-fp32/d/h2o/0.3", fmt::format("s{}", i + 1))
                    ->outcome.mean_kl.has_value());
  }
  const std::string report = read_file(folder_.path() / "out/report.md");
  EXPECT_NE(report.find("4 of 8 answers (50.0 %) have one scored token"), std::string::npos);
  EXPECT_NE(report.find("Over 4 of 8 samples"), std::string::npos);
}

TEST_F(OneTokenAnswers, TellStrategiesApartWhereTheirEndIsScored) {
  const std::vector<std::string> end{"--set", "metrics.perplexity.score_end=true"};
  const StoredSweep plain = run("plain");
  const StoredSweep stored = run("end", end);
  for (int i = 0; i < kSamples; ++i) {
    const std::string id = fmt::format("s{}", i);
    const CellOutcome& full = stored.records.find("model-fp32/d/full", id)->outcome;
    const CellOutcome& h2o = stored.records.find("model-fp32/d/h2o/0.3", id)->outcome;
    const CellOutcome& before = plain.records.find("model-fp32/d/full", id)->outcome;
    ASSERT_EQ(full.scored_tokens, before.scored_tokens + 1);
    // The answer itself costs what it did.
    for (size_t t = 0; t < before.nll.size(); ++t) EXPECT_NEAR(full.nll[t], before.nll[t], 1e-4);
    EXPECT_NE(full.nll.back(), h2o.nll.back());
    EXPECT_TRUE(h2o.mean_kl.has_value());
  }
  const std::string report = read_file(folder_.path() / "end/report.md");
  EXPECT_EQ(report.find("have one scored token"), std::string::npos);
  EXPECT_NE(report.find("`ppl type:exp-nll|last:scored|end:scored|agg:tokens|"), std::string::npos);
  // Another measurement: the records are not mixed.
  std::vector<std::string> resume{"sweep", sweep_, "--output", at("plain"), "--resume"};
  resume.insert(resume.end(), end.begin(), end.end());
  EXPECT_EQ(run_elastikv(resume).exit_code, 1);
  std::vector<std::string> plan{"plan", sweep_};
  plan.insert(plan.end(), end.begin(), end.end());
  EXPECT_EQ(run_elastikv(plan).exit_code, 0);
}

TEST_F(OneTokenAnswers, PlainTextHasNoEndsToScore) {
  for (const char* verb : {"plan", "sweep"}) {
    const ProgramResult result =
        run_elastikv({verb, sweep_, "--set", "metrics.perplexity.score_end=true", "--set",
                      "data.path=" + at("data.txt"), "--set", "data.context_words=2", "--set",
                      "data.answer_words=2", "--output", at("text")});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.errors.find("data.txt: is plain text, cut into windows: its answers end where "
                                 "the text goes on"),
              std::string::npos)
        << result.errors;
  }
}

}  // namespace
}  // namespace elastikv
