#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

constexpr const char* kSmall =
    "models: {shape: tiny}\nlengths: 32+4\nstrategies: [full, elastic]\n"
    "budgets: {keep: 0.25}\nruns: 2\n";

TEST(BenchVerb, PrintsATableAndWritesFiles) {
  const TemporaryFolder folder;
  const std::string file = folder.write("b.yaml", kSmall).string();
  const std::string out = (folder.path() / "out").string();
  const ProgramResult result = run_elastikv({"bench", file, "--runs", "1", "--output", out});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(
      result.output.starts_with("| model     | strategy | budget | batch | tokens | kept |"))
      << result.output;
  EXPECT_NE(result.output.find("| tiny-fp32 | elastic  |   0.25 |     1 |   32+4 |    8 |"),
            std::string::npos)
      << result.output;
  EXPECT_NE(result.errors.find("run 1 of 1: "), std::string::npos) << result.errors;
  const auto json = nlohmann::json::parse(read_file(folder.path() / "out/bench.json"));
  EXPECT_EQ(json.at("schema"), "elastikv-bench-1");
  EXPECT_EQ(json.at("cells").at(1).at("prefill_seconds").at("count"), 1);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "out/bench.csv"));
}

TEST(BenchVerb, TimesACheckpoint) {
  const TemporaryFolder folder;
  write_tiny_checkpoint(folder, "model");
  const std::string model = (folder.path() / "model").string();
  const std::string file =
      folder.write("b.yaml", "models: {path: " + model + "}\nlengths: 16+3\nruns: 1\n").string();
  const ProgramResult result = run_elastikv({"bench", file, "--json", "-"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json.at("models").at(0).at("label"), "model");
  EXPECT_FALSE(json.at("models").at(0).at("random_weights"));
  EXPECT_EQ(json.at("cells").at(0).at("kept_slots").at("at_end"), 18);
}

TEST(BenchVerb, PlanSaysWhatDoesNotFitAndARunRefusesIt) {
  const TemporaryFolder folder;
  const std::string file = folder
                               .write("b.yaml",
                                      "models:\n  shape: llama-3-8b\nbatch: 65536\n"
                                      "lengths: 4096+1000\n")
                               .string();
  const ProgramResult plan = run_elastikv({"bench", file, "--plan"});
  EXPECT_EQ(plan.exit_code, 0) << plan.errors;
  EXPECT_NE(plan.output.find("|   no |"), std::string::npos) << plan.output;
  const ProgramResult run = run_elastikv({"bench", file});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.output, "");
  EXPECT_TRUE(run.errors.starts_with("error: " + file + ":1: llama-3-8b in fp32 on cpu"))
      << run.errors;
  EXPECT_NE(run.errors.find(" needs about "), std::string::npos) << run.errors;
  EXPECT_TRUE(run.errors.ends_with(" are available\n") ||
              run.errors.ends_with("too_large: skip leaves such cells out\n"))
      << run.errors;
}

TEST(BenchVerb, BadInputIsOneLineAndExitCodeOne) {
  const TemporaryFolder folder;
  const std::string file = folder.write("b.yaml", kSmall).string();
  const auto errors = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"bench", file});
    const ProgramResult result = run_elastikv(arguments);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    return result.errors;
  };
  EXPECT_EQ(
      errors({"--set", "models.shape=tinny"}),
      "error: " + file +
          ":1: key 'models.shape' names the unknown shape 'tinny'; did you mean 'tiny'? (with "
          "--set models.shape=tinny)\n");
  EXPECT_EQ(errors({"--runs", "0"}), "error: --runs is 0, needs to be at least 1\n");
  EXPECT_EQ(errors({"--dtype", "fp8"}), "error: dtype 'fp8' is not known; did you mean 'fp32'?\n");
  EXPECT_EQ(errors({"--json", "/nowhere/at/all.json"}),
            "error: --json /nowhere/at/all.json: there is no folder /nowhere/at\n");
  EXPECT_EQ(errors({"--set", "strategies=full,elastik"}).find("error: " + file + ":"), 0U);
  const ProgramResult missing = run_elastikv({"bench", "none.yaml"});
  EXPECT_EQ(missing.errors, "error: none.yaml: cannot open: No such file or directory\n");
}

}  // namespace
}  // namespace elastikv
