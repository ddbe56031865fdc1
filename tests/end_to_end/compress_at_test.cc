// Moments of compression through the whole program, on a small model of random weights whose tokens
// are bytes.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

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

constexpr int kSamples = 4;

class CompressAt : public testing::Test {
 protected:
  CompressAt() {
    write_tiny_checkpoint(folder_, "model", /*images=*/false);
    std::string lines;
    for (int i = 0; i < kSamples; ++i) {
      lines += nlohmann::json{{"id", fmt::format("s{}", i)},
                              {"context", "A ship came in, and nobody knew from where."},
                              {"question", fmt::format("What came at {}?", i)},
                              {"answer", i % 2 == 0 ? "A" : "A ship."}}
                   .dump() +
               "\n";
    }
    folder_.write("data.jsonl", lines);
    sweep_ = folder_
                 .write("sweep.yaml",
                        "models: {path: " + at("model") + "}\ndata: {path: " + at("data.jsonl") +
                            ", name: d, columns: {id: id, context: context, question: question, "
                            "answer: answer}}\nstrategies: [full, h2o, snapkv, streaming-llm]\n"
                            "budgets: {keep: [0.3, 1]}\ngeneration: {max_new_tokens: 4}\n")
                 .string();
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  ProgramResult run(const std::string& verb, const std::string& output,
                    const std::vector<std::string>& settings) const {
    std::vector<std::string> arguments{verb, sweep_};
    for (const std::string& setting : settings) {
      arguments.emplace_back("--set");
      arguments.push_back(setting);
    }
    if (verb == "sweep") {
      arguments.emplace_back("--output");
      arguments.push_back(at(output));
    }
    return run_elastikv(arguments);
  }
  StoredSweep sweep(const std::string& output, const std::vector<std::string>& settings) const {
    const ProgramResult result = run("sweep", output, settings);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return read_stored_sweep(folder_.path() / output);
  }
  static const CellOutcome& outcome(const StoredSweep& stored, const std::string& cell,
                                    int sample) {
    const Record* record = stored.records.find("model-fp32/d/" + cell, fmt::format("s{}", sample));
    EXPECT_NE(record, nullptr) << cell;
    EXPECT_EQ(record->outcome.error, "") << cell;
    return record->outcome;
  }

  TemporaryFolder folder_;
  std::string sweep_;
};

TEST_F(CompressAt, MomentsStandBesideEachOtherInOneSweep) {
  const StoredSweep plain = sweep("plain", {});
  const StoredSweep all =
      sweep("all", {"compress_at=prompt_end,before_last_token,before_question"});
  for (int i = 0; i < kSamples; ++i) {
    // What is compressed at the prompt's end, and what is not compressed, is what it was.
    const CellOutcome& full = outcome(all, "full", i);
    for (const char* cell : {"full", "h2o/0.3", "snapkv/0.3", "streaming-llm/0.3"}) {
      EXPECT_EQ(outcome(all, cell, i).nll, outcome(plain, cell, i).nll) << cell;
      EXPECT_EQ(outcome(all, cell, i).token_ids, outcome(plain, cell, i).token_ids) << cell;
      EXPECT_EQ(outcome(all, cell, i).compressed_tokens, 0);
    }
    for (const char* moment : {"before_last_token", "before_question"}) {
      EXPECT_EQ(outcome(all, fmt::format("h2o-{}/1", moment), i).nll, full.nll);
      EXPECT_EQ(outcome(all, fmt::format("h2o-{}/1", moment), i).token_ids, full.token_ids);
    }
    const Record& record = *all.records.find("model-fp32/d/full", fmt::format("s{}", i));
    const CellOutcome& last = outcome(all, "h2o-before_last_token/0.3", i);
    const CellOutcome& question = outcome(all, "h2o-before_question/0.3", i);
    EXPECT_EQ(last.compressed_tokens, record.prompt_tokens - 1);
    EXPECT_LT(question.compressed_tokens, record.prompt_tokens - 10);
    EXPECT_EQ(question.requested_tokens, question.compressed_tokens * 3 / 10);
    // The first token of the answer tells them apart from the full cache.
    EXPECT_NE(last.nll.front(), full.nll.front());
    EXPECT_NE(question.nll.front(), full.nll.front());
    EXPECT_TRUE(last.mean_kl.has_value());
    EXPECT_EQ(outcome(all, "h2o/0.3", i).nll.front(), full.nll.front());
  }
  const std::string report = read_file(folder_.path() / "all/report.md");
  EXPECT_NE(report.find("|compress_at:h2o-before_last_token=before_last_token,"
                        "h2o-before_question=before_question,"),
            std::string::npos);
}

TEST_F(CompressAt, TheQuestionMayBeLeftToThePolicy) {
  const StoredSweep keep = sweep("keep", {"compress_at=before_question", "budgets.keep=0.3"});
  const StoredSweep policy =
      sweep("policy", {"compress_at=before_question", "question=policy", "budgets.keep=0.3"});
  for (int i = 0; i < kSamples; ++i) {
    const CellOutcome& kept = outcome(keep, "streaming-llm-before_question/0.3", i);
    const CellOutcome& left = outcome(policy, "streaming-llm-before_question-policy/0.3", i);
    EXPECT_EQ(kept.compressed_tokens, left.compressed_tokens);
    EXPECT_GT(kept.cache_bytes_end, left.cache_bytes_end);
  }
}

TEST_F(CompressAt, PlanCountsThePrefillsOfEachMoment) {
  // All samples ask about one context, which is prefilled once unless they are to be asked alone.
  for (const auto& [share, before_question] :
       {std::pair("true", 1), std::pair("false", kSamples)}) {
    const ProgramResult result = run("plan", "",
                                     {"compress_at=prompt_end,before_question", "budgets.keep=0.3",
                                      fmt::format("share_prefix={}", share)});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_NE(result.output.find(
                  fmt::format("{} samples with {} prefills", kSamples, kSamples + before_question)),
              std::string::npos)
        << result.output;
  }
}

TEST_F(CompressAt, WhatHasNoContextIsRefusedBeforeWeightsLoad) {
  for (const char* verb : {"plan", "sweep"}) {
    const ProgramResult result = run(verb, "none",
                                     {"compress_at=before_question",
                                      "data.columns={id: id, question: question, answer: answer}"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.errors.find("data.jsonl: the prompt of sample 's0' has neither an image nor a "
                                 "context before its question: nothing could be compressed before "
                                 "it"),
              std::string::npos)
        << result.errors;
  }
}

TEST_F(CompressAt, GenerateAndExplainTakeIt) {
  const std::vector<std::string> asked{"--model", at("model"),  "--context",     "A ship came in.",
                                       "-p",      "What came?", "--compress-at", "before_question"};
  std::vector<std::string> generate{"generate", "--strategy", "h2o", "--keep",
                                    "0.3",      "--json",     "-n",  "4"};
  generate.insert(generate.end(), asked.begin(), asked.end());
  const ProgramResult answer = run_elastikv(generate);
  ASSERT_EQ(answer.exit_code, 0) << answer.errors;
  const auto json = nlohmann::json::parse(answer.output);
  EXPECT_EQ(json.at("compress_at"), "before_question");
  EXPECT_LT(json.at("cache").at("compressed_tokens"), json.at("cache").at("prompt_tokens"));
  std::vector<std::string> explain{"explain", "-s", "h2o", "--keep", "0.3", "--json"};
  explain.insert(explain.end(), asked.begin(), asked.end());
  const ProgramResult explained = run_elastikv(explain);
  ASSERT_EQ(explained.exit_code, 0) << explained.errors;
  EXPECT_EQ(nlohmann::json::parse(explained.output).at("prompt_tokens"),
            json.at("cache").at("compressed_tokens"));
  const ProgramResult alone =
      run_elastikv({"generate", "--model", at("model"), "-p", "What came?", "--strategy", "h2o",
                    "--keep", "0.3", "--compress-at", "before_question"});
  EXPECT_EQ(alone.exit_code, 1);
  EXPECT_NE(alone.errors.find("the prompt has neither an image nor a context before its question"),
            std::string::npos)
      << alone.errors;
}

}  // namespace
}  // namespace elastikv
