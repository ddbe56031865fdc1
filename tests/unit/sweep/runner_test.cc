#include "sweep/runner.h"

#include <cstdio>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "base/files.h"
#include "metrics/agreement.h"
#include "metrics/metric_set.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/records.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

constexpr const char* kSweep = R"(
name: test
models: {path: m}
data: {path: PATH, name: data}
strategies: [full, elastic, h2o]
budgets: {keep: [0.2, 0.5]}
)";

/// A sweep of four text samples and five cells, run by the fake engine.
class Runner : public testing::Test {
 protected:
  Runner() {
    std::string lines;
    for (int i = 0; i < 4; ++i) {
      lines += "{\"id\": \"s" + std::to_string(i) +
               "\", \"question\": \"q\", \"answer\": \"answer " + std::to_string(i) + "\"}\n";
    }
    data_ = folder_.write("data.jsonl", lines);
    output_ = folder_.path() / "out";
  }

  SweepConfig config(const std::string& text = kSweep) const {
    std::string filled = text;
    filled.replace(filled.find("PATH"), 4, data_.string());
    SweepOverrides overrides;
    overrides.output = output_;
    return parse_sweep(filled, "s.yaml", overrides);
  }
  SweepOutcome run(const SweepConfig& config, bool resume = false) {
    RunOptions options;
    options.resume = resume;
    options.should_stop = [this] { return stop_; };
    return run_quietly(config, options, FakeEngines(plan_));
  }
  SweepOutcome run(bool resume = false) { return run(config(), resume); }

  std::filesystem::path records() const { return output_ / "records.jsonl"; }
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::ifstream file(records());
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }

  TemporaryFolder folder_;
  std::filesystem::path data_;
  std::filesystem::path output_;
  FakePlan plan_;
  bool stop_ = false;
};

/// F of the sweep's metric of texts: the third number of ROUGE.
double f_of(const Record& record) { return (*record.scores.at(0))[2]; }

TEST_F(Runner, RecordsEverySampleOfEveryCell) {
  const SweepOutcome outcome = run();
  EXPECT_EQ(outcome.exit_code(), 0);
  EXPECT_EQ(outcome.cells, 5);
  const StoredSweep stored = read_stored_sweep(output_);
  EXPECT_EQ(stored.records.size(), 20U);
  EXPECT_EQ(stored.header.name, "test");
  EXPECT_EQ(stored.header.engines.at("m-fp32").weights, "weights-1");
  EXPECT_EQ(stored.header.data.at("data").samples.size(), 4U);
  const Record* full = stored.records.find("m-fp32/data/full", "s1");
  ASSERT_NE(full, nullptr);
  // The full cache's text compared with itself.
  EXPECT_NEAR(f_of(*full), 1.0, 1e-8);
  EXPECT_FALSE(full->scores.at(1)) << "of agreement";
  const Record* cell = stored.records.find("m-fp32/data/elastic/0.2", "s1");
  ASSERT_NE(cell, nullptr);
  EXPECT_LT(f_of(*cell), 0.9);
  ASSERT_TRUE(cell->scores.at(1));
  const Agreement expected = compare_tokens(full->outcome.token_ids, cell->outcome.token_ids);
  EXPECT_EQ(cell->scores[1]->front(), static_cast<double>(expected.first_divergence));
  EXPECT_EQ(cell->outcome.kept_tokens, LayerCounts({{8, 8}, {8, 8}}));
  EXPECT_EQ(cell->shared.generation, 2.5);
}

TEST_F(Runner, DataSetsAnswerCanBeTheReference) {
  run(config(std::string(kSweep) + "metrics: {reference: dataset, text: [rougeL]}\n"));
  const StoredSweep stored = read_stored_sweep(output_);
  EXPECT_EQ(f_of(*stored.records.find("m-fp32/data/full", "s1")), 0);
}

// Earlier records keep their keys: what only metrics of answers look at counts with them alone.
TEST_F(Runner, VotesAndOptionsChangeKeysWhereAMetricLooksAtThem) {
  const std::string plain = read_file(data_);
  const auto key_of = [&](const char* name, const std::string& more) {
    std::string text = plain;
    for (size_t at = 0; (at = text.find("\"answer\"", at)) != std::string::npos;
         at += more.size() + 8) {
      text.insert(at, more);
    }
    folder_.write("data.jsonl", text);
    output_ = folder_.path() / fmt::format("{}-{}", name, more.size());
    run(config(std::string(kSweep) + fmt::format("metrics: {{text: [{}]}}\n", name)));
    const StoredSweep stored = read_stored_sweep(output_);
    return stored.records.find("m-fp32/data/full", "s1")->key;
  };
  const std::string options = R"("options": ["a", "b"], )";
  EXPECT_EQ(key_of("rougeL", ""), key_of("rougeL", options));
  EXPECT_NE(key_of("choice-mmmu", ""), key_of("choice-mmmu", options));
}

TEST_F(Runner, WindowsOfTokensAreThoseOfEachModel) {
  const std::string texts = source_path("tests/unit/text/data/");
  std::string words;
  for (int i = 0; i < 60; ++i) words += "caterpillar's hookah, ";
  data_ = folder_.write("book.txt", words);
  const auto sweep = [&](const std::string& more) {
    return config(
        "name: test\nmodels: [{path: " + texts + "smollm2-like}, {path: " + texts +
        "llama-like}]\ndata: {path: PATH, name: data, prompt_tokens: 20, answer_tokens: 10" + more +
        "}\nstrategies: [full]\n");
  };
  std::vector<std::vector<int64_t>> ids;
  for (const char* model : {"smollm2-like", "llama-like"})
    ids.push_back(load_tokenizer(texts + model)->encode(words));
  // The second one's windows each begin with a BOS, which takes the place of an id of the text.
  const size_t windows[] = {ids[0].size() / 30, ids[1].size() / 29};
  ASSERT_NE(windows[0], windows[1]);
  EXPECT_ERROR(run(sweep("")),
               data_.string() + ": " + texts + "smollm2-like cuts it into " +
                   std::to_string(windows[0]) + " windows, " + texts + "llama-like into " +
                   std::to_string(windows[1]) +
                   "; with 'limit: " + std::to_string(std::min(windows[0], windows[1])) +
                   "' both have as many, to be compared");
  std::vector<std::vector<int64_t>> asked;
  plan_.on_evaluate = [&](const Sample& sample) { asked.push_back(sample.prompt_ids); };
  run(sweep(", limit: 1"));
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0], std::vector<int64_t>(ids[0].begin(), ids[0].begin() + 20));
  std::vector<int64_t> with_bos{1};
  with_bos.insert(with_bos.end(), ids[1].begin(), ids[1].begin() + 19);
  EXPECT_EQ(asked[1], with_bos);
  const StoredSweep stored = read_stored_sweep(output_);
  EXPECT_EQ(stored.header.data.at("data").samples, (std::vector<std::string>{"tokens-0"}));
  EXPECT_NE(stored.records.find("smollm2-like-fp32/data/full", "tokens-0")->item,
            stored.records.find("llama-like-fp32/data/full", "tokens-0")->item);
}

TEST_F(Runner, HiddenFullCacheIsRecordedAsSuch) {
  std::string sweep = kSweep;
  sweep.replace(sweep.find("full, "), 6, "");
  run(config(sweep));
  const StoredSweep stored = read_stored_sweep(output_);
  const Record* full = stored.records.find("m-fp32/data/(full)", "s0");
  ASSERT_NE(full, nullptr);
  EXPECT_TRUE(full->hidden);
}

TEST_F(Runner, RecordsReadBackToTheBit) {
  run();
  const StoredSweep stored = read_stored_sweep(output_);
  const Scorers scorers = MetricSet(config().metrics).scorers();
  for (const std::string& line : lines()) {
    EXPECT_EQ(record_line(parse_record(line, scorers, "x"), scorers), line);
  }
}

TEST_F(Runner, AnotherRunNeedsResumeOrAnotherFolder) {
  run();
  EXPECT_ERROR(run(), output_.string() +
                          ": holds records of this sweep; use --resume to continue it, or another "
                          "--output");
  SweepConfig other = config();
  other.name = "another";
  EXPECT_ERROR(run(other, /*resume=*/true),
               output_.string() +
                   ": holds the records of another sweep, 'test' (this one is 'another'); use "
                   "another --output");
  other = config();
  other.budgets.pop_back();
  other.max_new_tokens = 3;
  EXPECT_ERROR(run(other, /*resume=*/true),
               output_.string() +
                   ": holds the records of sweep 'test' with other settings (budgets, "
                   "generation); use another --output");
  plan_.evaluated.clear();
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
  EXPECT_TRUE(plan_.evaluated.empty());
}

TEST_F(Runner, RecordsOfNobodyAreNotOverwritten) {
  folder_.write("out/records.jsonl", "{}\n");
  EXPECT_ERROR(run(/*resume=*/true),
               output_.string() +
                   ": holds records of an unknown sweep (no sweep.json); use another --output");
}

TEST_F(Runner, CrashBetweenSamplesResumesToTheSameRecords) {
  run();
  const std::string whole = read_file(records());
  for (int64_t crash = 0; crash < 4; ++crash) {
    std::filesystem::remove_all(output_);
    plan_ = FakePlan{};
    plan_.crash_at = crash;
    EXPECT_THROW(run(), Crash);
    plan_ = FakePlan{};
    EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
    EXPECT_EQ(static_cast<int64_t>(plan_.evaluated.size()), 4 - crash);
    EXPECT_EQ(read_file(records()), whole);
  }
}

TEST_F(Runner, AnyCutOfTheFileResumesToTheSameRecords) {
  run();
  const std::string whole = read_file(records());
  // The end of the file at every kind of place: within a line, just before and after its end,
  // between the cells of a sample.
  std::vector<size_t> cuts{1, whole.size() - 1};
  for (size_t end = whole.find('\n'); end != std::string::npos; end = whole.find('\n', end + 1)) {
    cuts.insert(cuts.end(), {end, end + 1, end + 20});
  }
  for (const size_t cut : cuts) {
    folder_.write("out/records.jsonl", whole.substr(0, std::min(cut, whole.size())));
    plan_.evaluated.clear();
    EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
    EXPECT_EQ(read_file(records()), whole) << "cut at " << cut;
  }
}

TEST_F(Runner, DamagedLineIsNamed) {
  run();
  std::string text = read_file(records());
  const size_t second = text.find('\n') + 1;
  std::string broken = text;
  broken[second] = 'X';
  folder_.write("out/records.jsonl", broken);
  EXPECT_ERROR(run(/*resume=*/true), records().string() +
                                         ":2: damaged record: not valid JSON; remove the line and "
                                         "use --resume");
  broken = text;
  broken.replace(broken.find("\"key\"", second), 5, "\"kez\"");
  folder_.write("out/records.jsonl", broken);
  EXPECT_ERROR_CONTAINS(run(/*resume=*/true), records().string() + ":2: damaged record: ");
}

TEST_F(Runner, ChangedWeightsDataOrParametersAreNotMixed) {
  plan_.crash_at = 2;
  EXPECT_THROW(run(), Crash);
  plan_ = FakePlan{};
  plan_.weights = "weights-2";
  EXPECT_ERROR(run(/*resume=*/true),
               output_.string() +
                   ": its records of model 'm-fp32' were made with other weights; use another "
                   "--output");
  plan_ = FakePlan{};
  plan_.strategy_version = "2";
  EXPECT_ERROR(run(/*resume=*/true),
               output_.string() +
                   ": its records of m-fp32/data/full were made with other parameters of 'full' or "
                   "of a strategy beside it; use another --output");
  plan_ = FakePlan{};
  const std::string text = read_file(data_);
  std::string changed = text;
  changed.replace(changed.find("answer 1"), 8, "answer X");
  folder_.write("data.jsonl", changed);
  EXPECT_ERROR(run(/*resume=*/true),
               output_.string() +
                   ": sample 's1' of data was recorded with another question, answer or image; "
                   "use another --output");
}

TEST_F(Runner, MoreSamplesExtendASweep) {
  SweepConfig few = config();
  few.data[0].limit = 2;
  run(few);
  plan_.evaluated.clear();
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, (std::vector<std::string>{"s2", "s3"}));
}

TEST_F(Runner, FailedCellIsRecordedAndTriedAgainOnResume) {
  plan_.failing = {{"m-fp32/data/h2o/0.2", "s1"}};
  const SweepOutcome outcome = run();
  EXPECT_EQ(outcome.exit_code(), 2);
  EXPECT_EQ(outcome.failed_cells, 1);
  EXPECT_EQ(outcome.first_failure, "m-fp32/data/h2o/0.2, sample s1: no attention left");
  EXPECT_TRUE(read_stored_sweep(output_).records.find("m-fp32/data/h2o/0.2", "s1")->failed());
  EXPECT_EQ(lines().size(), 20U);

  plan_ = FakePlan{};
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, std::vector<std::string>{"s1"});
  EXPECT_FALSE(read_stored_sweep(output_).records.find("m-fp32/data/h2o/0.2", "s1")->failed());
  EXPECT_EQ(lines().size(), 21U);  // only the record that was missing
}

TEST_F(Runner, EngineThatDoesNotRepeatItselfIsRecordedAnew) {
  plan_.failing = {{"m-fp32/data/h2o/0.2", "s1"}};
  run();
  plan_ = FakePlan{};
  plan_.drift = 0.001F;
  run(/*resume=*/true);
  EXPECT_EQ(lines().size(), 25U);  // all cells of the sample, from one evaluation
  const StoredSweep stored = read_stored_sweep(output_);
  EXPECT_EQ(stored.records.size(), 20U);
  EXPECT_NE(stored.records.find("m-fp32/data/full", "s1")->outcome.nll,
            stored.records.find("m-fp32/data/full", "s0")->outcome.nll);
}

TEST_F(Runner, FailingSampleFailsInEveryCellAndTheRestGoesOn) {
  plan_.failing_samples = {"s2"};
  const SweepOutcome outcome = run();
  EXPECT_EQ(outcome.exit_code(), 2);
  EXPECT_EQ(outcome.failed_cells, 5);
  const StoredSweep stored = read_stored_sweep(output_);
  EXPECT_EQ(stored.records.find("m-fp32/data/elastic/0.5", "s2")->outcome.error,
            "s2: the image is torn");
  EXPECT_FALSE(stored.records.find("m-fp32/data/elastic/0.5", "s3")->failed());
}

TEST_F(Runner, FailedFullCacheLeavesNoReference) {
  plan_.failing = {{"m-fp32/data/full", "s0"}};
  EXPECT_EQ(run().failed_cells, 5);
  EXPECT_EQ(read_stored_sweep(output_).records.find("m-fp32/data/h2o/0.5", "s0")->outcome.error,
            "no reference: the full cache failed: no attention left");
}

TEST_F(Runner, PerplexityThatIsNoNumberFailsItsCell) {
  plan_.not_a_number_for_budget = 0.5F;
  EXPECT_EQ(run().failed_cells, 2);
  EXPECT_EQ(read_stored_sweep(output_).records.find("m-fp32/data/h2o/0.5", "s0")->outcome.error,
            "the log likelihood of the answer is not finite");
}

TEST_F(Runner, InterruptionKeepsWhatIsComplete) {
  plan_.on_evaluate = [this](const Sample& sample) { stop_ = sample.id == "s1"; };
  const SweepOutcome outcome = run();
  EXPECT_EQ(outcome.exit_code(), 130);
  EXPECT_EQ(lines().size(), 10U);
  stop_ = false;
  plan_ = FakePlan{};
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, (std::vector<std::string>{"s2", "s3"}));
}

TEST_F(Runner, BadInputIsToldBeforeTheModelIsOpened) {
  SweepConfig bad = config();
  bad.strategies[1].preset = "elastci";
  EXPECT_ERROR(run(bad), "s.yaml:5: unknown strategy 'elastci'; did you mean 'elastic'?");
  bad = config();
  bad.data[0].path = folder_.path() / "none.json";
  EXPECT_ERROR_CONTAINS(run(bad), "none.json: cannot open: No such file or directory");
  bad = config();
  bad.output = data_;
  EXPECT_ERROR_CONTAINS(run(bad), "cannot be made as the output folder");
  EXPECT_EQ(plan_.opened, 0);
}

TEST_F(Runner, TwoProcessesDoNotWriteToOneFolder) {
  run();
  const int other = open(records().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  EXPECT_ERROR(run(/*resume=*/true),
               output_.string() + ": another process is writing a sweep there");
  close(other);
}

TEST(Progress, TellsRateRemainingTimeAndMetric) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "progress";
  std::chrono::steady_clock::time_point now{};
  std::FILE* out = std::fopen(file.c_str(), "w");
  Progress progress(out, /*in_place=*/false, [&] { return now; });
  progress.begin(/*total=*/10, /*done=*/2);
  now += std::chrono::seconds(100);
  progress.say("loading");  // not counted
  for (int i = 0; i < 8; ++i) {
    now += std::chrono::seconds(8);
    progress.sample_done(i == 0 ? "ppl full 1.5" : "");
  }
  progress.finish();
  std::fclose(out);
  EXPECT_EQ(read_file(file),
            "loading\n"
            "3/10 samples | 0.12/s | 0:56 left | ppl full 1.5\n"
            "7/10 samples | 0.12/s | 0:24 left\n"
            "10/10 samples | 0.12/s | 0:00 left\n");
  EXPECT_EQ(duration_text(3725.2), "1:02:06");
}

TEST(Progress, TellsWhereASampleIsThatTakesLong) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "progress";
  const auto lines_of = [&](bool in_place) {
    std::chrono::steady_clock::time_point now{};
    std::FILE* out = std::fopen(file.c_str(), "w");
    Progress progress(out, in_place, [&] { return now; });
    progress.begin(/*total=*/2, /*done=*/0);
    for (int64_t layer = 0; layer < 3; ++layer) {
      progress.phase({"prefill", "layer", layer, 3, /*rows=*/0});
      now += std::chrono::seconds(20);
    }
    // Cells that do not fit at once run through the same phase again, and one may end early.
    for (const int64_t rows : {40, 15}) {
      for (int64_t token = 0; token < 4; ++token) {
        progress.phase({"generation", "token", token, 4, rows - token / 3});
        now += std::chrono::seconds(25);
      }
    }
    progress.sample_done("");
    progress.finish();
    std::fclose(out);
    return read_file(file);
  };
  EXPECT_EQ(lines_of(/*in_place=*/false),
            "0/2 samples | prefill: layer 3 of 3 | 0:20 left\n"
            "0/2 samples | generation, 40 cells together: token 2 of 4 | 1:15 left\n"
            "0/2 samples | generation, 39 cells together: token 4 of 4 | 0:25 left\n"
            "0/2 samples | generation, 15 cells together: token 2 of 4 | 1:15 left\n"
            "0/2 samples | generation, 14 cells together: token 4 of 4 | 0:25 left\n"
            "1/2 samples | 0.00/s | 4:20 left\n");
  const std::string in_place = lines_of(/*in_place=*/true);
  EXPECT_TRUE(in_place.find("\r0/2 samples | prefill: layer 2 of 3 | 0:40 left\033[K\r0/2") !=
              std::string::npos)
      << in_place;
  EXPECT_TRUE(in_place.ends_with("\r1/2 samples | 0.00/s | 4:20 left\033[K\n")) << in_place;
}

}  // namespace
}  // namespace elastikv
