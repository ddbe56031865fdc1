// Paths and arguments may hold any bytes; what is written of them is still JSON.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// A folder whose name is no UTF-8, with a model and a sweep in it.
class AnyBytes : public testing::Test {
 protected:
  AnyBytes() {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model", /*images=*/false);
    folder_.write("data.jsonl", R"({"id": "a,b", "question": "q", "answer": "one"}
{"id": "c\\d", "question": "r", "answer": "two"}
{"id": "e", "question": "s", "answer": "six"}
)");
    sweep_ = folder_
                 .write("\xff'y\xc3/s\xe9.yaml",
                        "models: {path: " + at("model") +
                            ", prompt_format: plain}\ndata: {path: " + at("data.jsonl") +
                            ", name: d}\nstrategies: [full, h2o]\nbudgets: {keep: 0.5}\n"
                            "generation: {max_new_tokens: 2}\n")
                 .string();
  }
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }

  TemporaryFolder folder_;
  std::string sweep_;
};

TEST_F(AnyBytes, APlanASweepAndItsReport) {
  const std::string output = at("\xff'y\xc3/out\xfe");
  const ProgramResult plan = run_elastikv({"plan", sweep_, "--output", output});
  EXPECT_EQ(plan.exit_code, 0) << plan.errors;
  EXPECT_NE(plan.output.find("output in " + output), std::string::npos) << plan.output;
  const ProgramResult sweep = run_elastikv({"sweep", sweep_, "--output", output, "--limit", "2"});
  ASSERT_EQ(sweep.exit_code, 0) << sweep.errors;
  const Json header = Json::parse(read_file(fs::path(output) / "sweep.json"));
  const Json& facts = header.at("provenance");
  EXPECT_TRUE(facts.at("config").get<std::string>().ends_with("/\\xff'y\\xc3/s\\xe9.yaml"));
  // The commands as a shell reads them back.
  const auto words = [](const std::string& command) {
    return run_command({"bash", "-c", "printf '%s\\n' " + command}).output;
  };
  EXPECT_EQ(words(facts.at("reproduce").get<std::string>()),
            "elastikv\nsweep\n" + sweep_ + "\n--limit\n2\n--output\n" + output + "\n");
  EXPECT_EQ(words(facts.at("command").get<std::string>()),
            program_path() + "\nsweep\n" + sweep_ + "\n--output\n" + output + "\n--limit\n2\n");
  EXPECT_EQ(run_elastikv({"sweep", sweep_, "--output", output, "--resume"}).exit_code, 0);
  const ProgramResult report = run_elastikv({"report", output});
  EXPECT_EQ(report.exit_code, 0) << report.errors;
  const ProgramResult refused = run_elastikv({"plan", at("none\xff.yaml")});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.errors,
            "error: " + at("none\xff.yaml") + ": cannot open: No such file or directory\n");
}

TEST_F(AnyBytes, TheNameOfALauncherStandsForThePrograms) {
  const std::string output = at("out");
  const ProgramResult sweep =
      run_command({"env", "ELASTIKV_LAUNCHER=a folder\xff/elastikv", program_path(), "sweep",
                   sweep_, "--output", output, "--limit", "1"});
  ASSERT_EQ(sweep.exit_code, 0) << sweep.errors;
  const Json header = Json::parse(read_file(fs::path(output) / "sweep.json"));
  const std::string command = header.at("provenance").at("command");
  EXPECT_TRUE(command.starts_with("$'a folder\\xff/elastikv' sweep ")) << command;
}

TEST_F(AnyBytes, ModelsBenchmarksAndTexts) {
  const std::string model = at("\xff'y\xc3/model");
  fs::copy(folder_.path() / "model", model, fs::copy_options::recursive);
  const ProgramResult explained =
      run_elastikv({"explain", "--model", model, "--prompt-ids", "1,2,3", "-s", "h2o",
                    "--keep-tokens", "2", "--json"});
  ASSERT_EQ(explained.exit_code, 0) << explained.errors;
  EXPECT_TRUE(Json::parse(explained.output)
                  .at("model")
                  .get<std::string>()
                  .ends_with("/\\xff'y\\xc3/model"));
  const ProgramResult generated = run_elastikv({"generate", "--model", model, "-p", "a\xff",
                                                "--prompt-format", "plain", "-n", "2", "--json"});
  ASSERT_EQ(generated.exit_code, 0) << generated.errors;
  EXPECT_NO_THROW(Json::parse(generated.output));
  const ProgramResult inspected = run_elastikv({"inspect", model, "--prompt", "a\xff"});
  EXPECT_EQ(inspected.exit_code, 0) << inspected.errors;

  const std::string bench =
      folder_
          .write("\xff'y\xc3/b.yaml", "models: {path: " + at("model") +
                                          "}\nlengths: 8+2\nbatch: 1\nstrategies: [full]\nruns: 1\n"
                                          "warmup: 0\n")
          .string();
  const std::string output = at("\xff'y\xc3/bench");
  const ProgramResult timed = run_elastikv({"bench", bench, "--output", output});
  ASSERT_EQ(timed.exit_code, 0) << timed.errors;
  EXPECT_NO_THROW(Json::parse(read_file(fs::path(output) / "bench.json")));

  const std::string line = R"({"id": "a", "reference": "one", "candidate": "one"})";
  const std::string first = folder_.write("a\xff.jsonl", line + "\n").string();
  const std::string second = folder_.write("b\xff.jsonl", line + "\n").string();
  const ProgramResult scored = run_elastikv({"score", first, second, "--format", "json"});
  ASSERT_EQ(scored.exit_code, 0) << scored.errors;
  EXPECT_NO_THROW(Json::parse(scored.output)) << scored.output;
}

TEST_F(AnyBytes, SampleIdsWithCommas) {
  const auto run = [&](const std::vector<std::string>& ids) {
    std::vector<std::string> arguments{"plan", sweep_, "--output", at("out")};
    for (const std::string& id : ids) arguments.insert(arguments.end(), {"--sample-id", id});
    return run_elastikv(arguments);
  };
  const auto samples = [&](const std::vector<std::string>& ids) {
    const ProgramResult result = run(ids);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    const size_t at = result.output.find(" evaluations of ");
    return result.output.substr(at, result.output.find(" with ", at) - at);
  };
  EXPECT_EQ(samples({"a\\,b"}), " evaluations of 1 samples");
  EXPECT_EQ(samples({"a\\,b,e"}), " evaluations of 2 samples");
  EXPECT_EQ(samples({"a\\,b", "c\\d", "e"}), " evaluations of 3 samples");
  EXPECT_EQ(samples({"e,c\\\\d"}), " evaluations of 2 samples");
  // An id is taken whole; only what is none is a list.
  EXPECT_EQ(samples({"a,b"}), " evaluations of 1 samples");
  const ProgramResult cut = run({"a,e"});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_NE(cut.errors.find("error: --sample-id a: no data set of the sweep has that sample"),
            std::string::npos)
      << cut.errors;
  // What a run says of itself names the same samples.
  ASSERT_EQ(
      run_elastikv({"sweep", sweep_, "--output", at("out"), "--sample-id", "a\\,b,c\\d"}).exit_code,
      0);
  const Json header = Json::parse(read_file(folder_.path() / "out/sweep.json"));
  EXPECT_NE(
      header.at("provenance").at("reproduce").get<std::string>().find("--sample-id 'a\\,b,c\\d'"),
      std::string::npos)
      << header.at("provenance");
  EXPECT_EQ(header.at("data").at("d").at("samples"), Json({"a,b", "c\\d"}));
}

}  // namespace
}  // namespace elastikv
