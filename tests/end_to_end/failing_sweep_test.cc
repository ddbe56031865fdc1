#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "kernels/linear.h"
#include "report/report.h"
#include "runtime/memory.h"
#include "support/paths.h"
#include "support/quiet_sweep.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"
#include "sweep/records.h"
#include "sweep/runner.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

constexpr int kSamples = 3;
constexpr int kCells = 1 + 4 * 5;  // of each model and data set

/// The engines of the program, with one cell that never fits into memory, as a GPU would say it.
class NarrowEngines final : public Engines {
 public:
  explicit NarrowEngines(std::string cell) : cell_(std::move(cell)) {}

  void check(const ModelChoice& model, std::span<const Cell> cells,
             const EvaluationSettings& settings) const override {
    engines_->check(model, cells, settings);
  }
  void check_image(const fs::path& file) const override { engines_->check_image(file); }
  std::unique_ptr<Tokenizer> tokenizer(const ModelChoice& model) const override {
    return engines_->tokenizer(model);
  }
  SampleCheck check_samples(const ModelChoice& model, std::span<const Cell> cells,
                            std::span<const Sample> samples,
                            const EvaluationSettings& settings) const override {
    return engines_->check_samples(model, cells, samples, settings);
  }
  EngineIdentity identity(const ModelChoice& model) const override {
    return engines_->identity(model);
  }
  std::string strategy_text(const StrategyChoice& strategy) const override {
    return engines_->strategy_text(strategy);
  }
  std::vector<std::string> parts(const ModelChoice& model,
                                 std::span<const Cell> cells) const override {
    return engines_->parts(model, cells);
  }
  std::unique_ptr<SampleEvaluator> open(const ModelChoice& model,
                                        const EvaluationSettings& settings,
                                        RunWatch watch) const override {
    return std::make_unique<Evaluator>(engines_->open(model, settings, std::move(watch)), cell_);
  }

 private:
  class Evaluator final : public SampleEvaluator {
   public:
    Evaluator(std::unique_ptr<SampleEvaluator> evaluator, std::string cell)
        : evaluator_(std::move(evaluator)), cell_(std::move(cell)) {}
    std::unique_ptr<SampleRun> begin(const Sample& sample, std::span<const Cell> cells) override {
      return std::make_unique<Run>(evaluator_->begin(sample, cells), cells, cell_);
    }
    void release_memory() override { evaluator_->release_memory(); }

   private:
    class Run final : public SampleRun {
     public:
      Run(std::unique_ptr<SampleRun> run, std::span<const Cell> cells, std::string cell)
          : run_(std::move(run)), cells_(cells), cell_(std::move(cell)) {}
      SampleOutcome evaluate(std::span<const size_t> which) override {
        for (const size_t i : which) {
          if (cells_[i].id == cell_) throw OutOfMemory("out of memory: tried to allocate 2.00 GiB");
        }
        return run_->evaluate(which);
      }

     private:
      std::unique_ptr<SampleRun> run_;
      std::span<const Cell> cells_;
      std::string cell_;
    };

    std::unique_ptr<SampleEvaluator> evaluator_;
    std::string cell_;
  };

  std::unique_ptr<Engines> engines_ = torch_engines();
  std::string cell_;
};

/// A sweep over 2 models of random weights x 2 data sets x 5 strategies x 5 budgets.
class FailingSweep : public testing::Test {
 protected:
  FailingSweep() {
    // Matrices this small gain nothing from threads, which wait for each other on a busy machine.
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "one");
    write_tiny_checkpoint(folder_, "two");
    const fs::path images = source_path("datasets/stamp-scenes/test/images");
    for (const std::string set : {"x", "y"}) {
      std::string lines;
      for (int i = 0; i < kSamples; ++i) {
        const std::string id = set + std::to_string(i);
        fs::create_directories(folder_.path() / "pictures");
        fs::copy(images / ("test_00" + std::to_string(10 + i) + ".png"),
                 folder_.path() / "pictures" / (id + ".png"));
        lines += nlohmann::json{{"id", id},
                                {"question", "What is number " + std::to_string(i) + "?"},
                                {"answer", "It is a picture of stamps."},
                                {"image", id + ".png"}}
                     .dump() +
                 "\n";
      }
      folder_.write(set + ".jsonl", lines);
    }
    sweep_ = folder_.write(
        "sweep.yaml",
        "models: {path: [" + at("one") + ", " + at("two") + "]}\ndata: {path: [" + at("x.jsonl") +
            ", " + at("y.jsonl") + "], image_root: " + at("pictures") +
            "}\nstrategies: [full, elastic, h2o, streaming-llm, random]\n"
            "budgets: {keep: 0.1-0.9+0.2}\ngeneration: {max_new_tokens: 4}\noutput: " +
            at("out") + "\n");
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  /// Spoils the inside of an image, which looks like one until it is decoded.
  void spoil(const std::string& id) const {
    const fs::path file = folder_.path() / "pictures" / (id + ".png");
    std::string bytes = read_file(file);
    std::fill(bytes.begin() + std::ssize(bytes) / 2, bytes.end() - 16, '\xAA');
    write_file_atomically(file, bytes);
  }
  SweepOutcome run(const Engines& engines, const SweepOverrides& overrides) const {
    return run_quietly(read_sweep(sweep_, overrides), RunOptions{}, engines);
  }
  StoredSweep stored() const { return read_stored_sweep(folder_.path() / "out"); }

  TemporaryFolder folder_;
  fs::path sweep_;
};

TEST_F(FailingSweep, EveryOtherCellIsComplete) {
  spoil("x1");
  fs::remove(folder_.path() / "pictures/y2.png");
  SweepOverrides overrides;
  overrides.record_problems = true;
  const SweepOutcome outcome = run(NarrowEngines("two-fp32/x/h2o/0.5"), overrides);
  EXPECT_EQ(outcome.exit_code(), 2);
  EXPECT_EQ(outcome.cells, 4 * kCells);
  const StoredSweep sweep = stored();
  EXPECT_EQ(sweep.records.size(), 4U * kCells * kSamples);
  int64_t torn = 0;
  int64_t missing = 0;
  int64_t memory = 0;
  for (const Record& record : sweep.records) {
    const bool failed = record.failed();
    if (record.sample == "x1" || record.sample == "y2") {
      ASSERT_TRUE(failed) << record.cell;
      EXPECT_EQ(record.outcome.failure, Failure::kSample) << record.outcome.error;
      EXPECT_NE(record.outcome.error.find(record.sample + ".png"), std::string::npos)
          << record.outcome.error;
      ++(record.sample == "x1" ? torn : missing);
    } else if (record.cell == "two-fp32/x/h2o/0.5") {
      ASSERT_TRUE(failed);
      EXPECT_EQ(record.outcome.failure, Failure::kOutOfMemory);
      EXPECT_EQ(record.outcome.error, "out of memory: tried to allocate 2.00 GiB");
      ++memory;
    } else {
      EXPECT_FALSE(failed) << record.cell << " " << record.sample << record.outcome.error;
      EXPECT_EQ(record.outcome.mean_kl.has_value(), !record.cell.ends_with("/full"));
    }
  }
  EXPECT_EQ(torn, 2 * kCells);
  EXPECT_EQ(missing, 2 * kCells);
  EXPECT_EQ(memory, kSamples - 1);

  // The tables show what is missing and why, and numbers everywhere else.
  const Report report = make_report(stored());
  EXPECT_FALSE(report.complete);
  for (const char* part : {"## two-fp32 on x\n", "; left out in all cells: `x1`",
                           "; left out in all cells: `y2`", "y2.png", "- two-fp32/x/h2o/0.5: ",
                           "out of memory: tried to allocate 2.00 GiB", " oom |"}) {
    EXPECT_NE(report.summary.find(part), std::string::npos) << part << "\n" << report.summary;
  }
}

TEST_F(FailingSweep, AMissingImageIsRefusedWithoutKeepGoing) {
  fs::remove(folder_.path() / "pictures/y2.png");
  const ProgramResult refused = run_elastikv({"sweep", sweep_.string()});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.errors.find("y2.png"), std::string::npos) << refused.errors;
  EXPECT_FALSE(fs::exists(folder_.path() / "out"));
}

/// The caches of the cells are what takes most here, with room for many new tokens.
TEST_F(FailingSweep, UnderAMemoryLimitCellsRunInBatchesAndGiveTheSame) {
  const auto peak_with = [&](int64_t bytes, const std::string& strategies) {
    fs::remove_all(folder_.path() / "out");
    SweepOverrides overrides;
    overrides.set = {{"models", "{path: " + at("one") + "}"},
                     {"data.path", at("x.jsonl")},
                     {"strategies", strategies},
                     {"generation.max_new_tokens", "400"}};
    overrides.limit = 2;
    const MemoryLimit limit(bytes);
    EXPECT_EQ(run(*torch_engines(), overrides).exit_code(), 0);
    return MemoryLimit::peak();
  };
  const std::string all = "full,elastic,h2o,streaming-llm,random";
  prompt_products(c10::ScalarType::Float);  // measures, once and with memory of its own
  const int64_t alone = peak_with(INT64_MAX, "full");
  const int64_t together = peak_with(INT64_MAX, all);
  const StoredSweep expected = stored();
  ASSERT_GT(static_cast<double>(together), 1.5 * static_cast<double>(alone));
  const int64_t limit = (alone + together) / 2;
  EXPECT_LE(peak_with(limit, all), limit);
  const StoredSweep found = stored();
  EXPECT_EQ(found.records.size(), 2U * kCells);
  for (const Record& record : expected.records) {
    const CellOutcome& a = record.outcome;
    const CellOutcome& b = found.records.find(record.cell, record.sample)->outcome;
    EXPECT_EQ(b.error, "") << record.cell;
    EXPECT_EQ(b.nll_sum, a.nll_sum) << record.cell;
    EXPECT_EQ(b.nll, a.nll) << record.cell;
    EXPECT_EQ(b.mean_kl, a.mean_kl) << record.cell;
    EXPECT_EQ(b.token_ids, a.token_ids) << record.cell;
    EXPECT_EQ(b.kept_tokens, a.kept_tokens) << record.cell;
  }
}

TEST_F(FailingSweep, TheProgramSaysWhatItWasRunWith) {
  const ProgramResult result =
      run_elastikv({"sweep", sweep_.string(), "--set", "models={path: " + at("one") + "}", "--set",
                    "strategies=full", "--sample-id", "x0", "--memory-limit", "6GiB"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::map<std::string, std::string> facts = stored().header.provenance;
  for (const char* key : {"started", "host", "command", "program", "source", "libtorch", "cpu",
                          "threads", "threads_by", "omp_num_threads", "omp_waiting",
                          "prompt_products", "device", "dtype", "config", "config_hash"})
    EXPECT_FALSE(facts.at(key).empty()) << key;
  EXPECT_EQ(facts.at("omp_num_threads"), "1");
  EXPECT_EQ(facts.at("threads"), "1");
  EXPECT_EQ(facts.at("threads_by"), "OMP_NUM_THREADS");
  if (std::getenv("GOMP_SPINCOUNT") == nullptr && std::getenv("OMP_WAIT_POLICY") == nullptr) {
    EXPECT_EQ(facts.at("omp_waiting"), "GOMP_SPINCOUNT=1000");
  }
  EXPECT_EQ(facts.at("dtype"), "fp32");
  EXPECT_EQ(facts.count("gpu"), 0U);
  const std::string options = "sweep " + sweep_.string() + " --set 'models={path: " + at("one") +
                              "}' --set strategies=full";
  EXPECT_NE(facts.at("command").find(options + " --sample-id x0 --memory-limit 6GiB"),
            std::string::npos)
      << facts.at("command");
  EXPECT_EQ(facts.at("reproduce"), "elastikv " + options +
                                       " --memory-limit 6GiB --sample-id x0  # " +
                                       facts.at("program") + ", commit " + facts.at("source"));
}

TEST_F(FailingSweep, StoppingSaysWhatIsLeftAndHowToGoOn) {
  spoil("x0");
  const std::vector<std::string> command{"sweep", sweep_.string(), "--set",
                                         "models={path: " + at("one") + "}"};
  std::vector<std::string> stopping = command;
  stopping.emplace_back("--fail-fast");
  const ProgramResult stopped = run_elastikv(stopping);
  EXPECT_EQ(stopped.exit_code, 2);
  EXPECT_EQ(stopped.output, "");
  EXPECT_NE(stopped.errors.find("warning: stopped at the first failure: one-fp32/x/"),
            std::string::npos)
      << stopped.errors;
  EXPECT_NE(stopped.errors.find("42 of 42 cells are left undone; the records in " + at("out") +
                                " are kept, --resume continues and tries again what failed\n"),
            std::string::npos)
      << stopped.errors;
  std::vector<std::string> again = command;
  again.insert(again.end(), {"--resume", "--sample-id", "x0"});
  EXPECT_EQ(run_elastikv(again).exit_code, 2);
  const ProgramResult both =
      run_elastikv({"sweep", sweep_.string(), "--fail-fast", "--max-failures", "2"});
  EXPECT_EQ(both.exit_code, 1);
  const ProgramResult none = run_elastikv({"sweep", sweep_.string(), "--max-failures", "0"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_EQ(none.errors, "error: --max-failures is 0, needs to be at least 1\n");
}

TEST_F(FailingSweep, PlanShowsWhatIsExcludedAndChosen) {
  const ProgramResult plan =
      run_elastikv({"plan", sweep_.string(), "--sample-id", "x1", "--set",
                    "matrix.exclude=[{model: two}, {strategy: h2o, budget: 0.1-0.3+0.2}]"});
  EXPECT_EQ(plan.exit_code, 1);
  const ProgramResult good =
      run_elastikv({"plan", sweep_.string(), "--sample-id", "x1", "--set",
                    "matrix.exclude=[{model: two}, {strategy: h2o, budget: [0.1, 0.3]}]"});
  EXPECT_EQ(good.exit_code, 0) << good.errors;
  EXPECT_NE(good.output.find("Excluded: 23 of 42 cells.\n"), std::string::npos) << good.output;
  EXPECT_NE(good.output.find("Data set y is left out: it has none of the samples.\n"),
            std::string::npos);
  EXPECT_EQ(good.output.find("/h2o/0.3"), std::string::npos);
  EXPECT_NE(good.output.find("/h2o/0.5"), std::string::npos);
}

}  // namespace
}  // namespace elastikv
