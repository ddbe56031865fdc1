// A sweep in shards, each a job that knows nothing of the others, and what becomes of their
// folders.
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

class Shards : public testing::Test {
 protected:
  Shards() {
    // Matrices this small gain nothing from threads, which wait for each other on a busy machine.
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model", /*images=*/false);
    std::string lines;
    for (int i = 0; i < 7; ++i) {
      lines += nlohmann::json{{"id", "s" + std::to_string(i)},
                              {"question", "What is number " + std::to_string(i) + "?"},
                              {"answer", "It is " + std::to_string(i * 7) + "."}}
                   .dump() +
               "\n";
    }
    folder_.write("data.jsonl", lines);
    folder_.write("sweep.yaml", "models: {path: " + at("model") +
                                    "}\ndata: {path: " + at("data.jsonl") +
                                    ", name: data}\nstrategies: [full, elastic, h2o]\n"
                                    "budgets: {keep: [0.2, 0.5]}\n"
                                    "generation: {max_new_tokens: 6}\n");
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  ProgramResult sweep(const std::string& output, const std::vector<std::string>& more) const {
    std::vector<std::string> words{"sweep", at("sweep.yaml"), "--output", at(output)};
    words.insert(words.end(), more.begin(), more.end());
    return run_elastikv(words);
  }
  /// All tables but those that hold times or say with what they were made.
  std::map<std::string, std::string> tables(const std::string& output) const {
    std::map<std::string, std::string> tables;
    for (const auto& entry : fs::directory_iterator(folder_.path() / output)) {
      const std::string name = entry.path().filename().string();
      const bool table = name.ends_with(".md") || name.ends_with(".csv") || name.ends_with(".tex");
      if (table && !name.starts_with("speed.")) tables[name] = read_file(entry.path());
    }
    EXPECT_GE(tables.size(), 5U);
    return tables;
  }

  TemporaryFolder folder_;
};

TEST_F(Shards, JoinToTheTablesOfOneProcess) {
  ASSERT_EQ(sweep("whole", {}).exit_code, 0);
  const auto expected = tables("whole");
  const ProgramResult one = sweep("shard-1", {"--shard", "1/3"});
  EXPECT_EQ(one.exit_code, 0) << one.errors;
  EXPECT_NE(one.output.find("**Incomplete: 3 of 7 samples.**"), std::string::npos) << one.output;
  EXPECT_NE(one.errors.find("shard 1/3: 'elastikv merge' joins the folders of all 3\n"),
            std::string::npos)
      << one.errors;
  EXPECT_EQ(sweep("shard-2", {"--shard", "2/3"}).exit_code, 0);

  const ProgramResult part =
      run_elastikv({"merge", at("shard-1"), at("shard-2"), "--output", at("part")});
  EXPECT_EQ(part.exit_code, 2);
  EXPECT_NE(part.errors.find("warning: missing: 2 of 7 samples of data for model-fp32: s2, s5\n"),
            std::string::npos)
      << part.errors;

  EXPECT_EQ(sweep("shard-3", {"--shard", "3/3"}).exit_code, 0);
  const ProgramResult merged = run_elastikv(
      {"merge", at("shard-3"), at("shard-1"), at("shard-2"), "--output", at("merged")});
  EXPECT_EQ(merged.exit_code, 0) << merged.errors;
  EXPECT_EQ(tables("merged"), expected);
  const ProgramResult joined = run_elastikv(
      {"report", at("shard-2"), at("shard-3"), at("shard-1"), "--output", at("joined")});
  EXPECT_EQ(joined.exit_code, 0) << joined.errors;
  EXPECT_EQ(tables("joined"), expected);

  // In whatever order: the same records. The order of a sweep by itself is the same, too.
  run_elastikv({"merge", at("shard-1"), at("shard-2"), at("shard-3"), "--output", at("again")});
  EXPECT_EQ(read_file(at("again/records.jsonl")), read_file(at("merged/records.jsonl")));
  EXPECT_EQ(read_file(at("again/details.jsonl")), read_file(at("whole/details.jsonl")));
  EXPECT_EQ(read_file(at("again/samples.jsonl")), read_file(at("whole/samples.jsonl")));

  // A folder that was merged before all was there goes on as any other.
  EXPECT_EQ(sweep("part", {"--resume"}).exit_code, 0);
  EXPECT_EQ(tables("part"), expected);
}

TEST_F(Shards, AreRefusedWhereTheyDoNotFit) {
  ASSERT_EQ(sweep("one", {"--shard", "1/2"}).exit_code, 0);
  const auto refused = [&](const std::string& other, const std::string& what) {
    const ProgramResult result =
        run_elastikv({"merge", at("one"), at(other), "--output", at("merged")});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.errors, "error: " + what + "\n");
    EXPECT_FALSE(fs::exists(at("merged")));
  };
  const std::string apart = at("other") + ": does not fit to " + at("one") + ": it has ";
  const auto other = [&](const std::vector<std::string>& more) {
    fs::remove_all(at("other"));
    ASSERT_EQ(sweep("other", more).exit_code, 0);
  };
  other({"--shard", "1/2"});
  refused("other", at("other") + ": is shard 1/2, and so is " + at("one"));
  other({"--shard", "2/3"});
  refused("other", apart + "one of 3 shards (2/3), not of 2");
  other({"--shard", "2/2", "--limit", "6"});
  refused("other", apart + "other samples of data (6, not 7)");
  other({"--shard", "2/2", "--set", "generation.max_new_tokens=5"});
  refused("other", apart + "other settings (generation)");
  other({"--shard", "2/2"});
  std::string weights = read_file(at("model/model.safetensors"));
  weights.back() = static_cast<char>(weights.back() ^ 1);
  folder_.write("model/model.safetensors", weights);
  other({"--shard", "2/2"});
  refused("other", apart + "other weights of model 'model-fp32'");
  refused("nowhere", at("nowhere") + ": holds no sweep (no sweep.json)");

  const ProgramResult another = sweep("one", {"--shard", "2/2", "--resume"});
  EXPECT_EQ(another.exit_code, 1);
  EXPECT_EQ(another.errors, "error: " + at("one") +
                                ": holds records of shard 1/2, this is shard 2/2; use another "
                                "--output\n");
  EXPECT_EQ(sweep("one", {"--resume"}).errors,
            "error: " + at("one") +
                ": holds records of shard 1/2, this is all samples; use another --output\n");
  for (const char* shard : {"0/2", "3/2", "2", "a/b", "1/2/3", "-1/2", "1/"}) {
    EXPECT_EQ(sweep("bad", {"--shard", shard}).errors,
              std::string("error: --shard ") + shard +
                  ": needs to be I/N, such as 1/4 to 4/4 for four of them\n");
  }
  EXPECT_EQ(sweep("bad", {"--shard", "1/2", "--sample-id", "s1"}).exit_code, 1);
}

TEST_F(Shards, APlanSaysWhatRanksHoldAndTake) {
  const ProgramResult plan = run_elastikv({"plan", at("sweep.yaml"), "--ranks", "8"});
  EXPECT_EQ(plan.exit_code, 0) << plan.errors;
  for (const char* part :
       {"\nRanks: 7 units, each a sample of one model and data set; a rank holds "
        "one model at a time, up to ",
        " with 1 rank, ", " with 8 ranks, ", " with 64 ranks, each with a device of its own.\n"})
    EXPECT_NE(plan.output.find(part), std::string::npos) << part << plan.output;
  EXPECT_EQ(run_elastikv({"plan", at("sweep.yaml"), "--ranks", "0"}).errors,
            "error: --ranks is 0, needs to be at least 1\n");
}

}  // namespace
}  // namespace elastikv
