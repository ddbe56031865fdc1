// The verbs that compute, on the emulated device: what they say is what they say on the CPU.
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
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

using Json = nlohmann::json;

constexpr double kTolerance = 1e-4;
const std::string kImage = source_path("datasets/stamp-scenes/test/images/test_0000.png");

ProgramResult run_on(const std::string& device, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program_path("emulated_elastikv"));
  arguments.insert(arguments.end(), {"--device", device});
  return run_command(arguments);
}

/// Equal, but for numbers: those within the tolerance, and what was measured not at all.
void expect_alike(const Json& a, const Json& b, const std::string& where = "") {
  SCOPED_TRACE(where);
  ASSERT_EQ(a.type_name(), std::string(b.type_name()));
  if (a.is_object()) {
    for (const auto& [key, value] : a.items()) {
      if (key == "seconds" || key == "shared_seconds" || key == "tokens_per_second" ||
          key == "device" || key == "key")
        continue;
      ASSERT_TRUE(b.contains(key)) << key;
      expect_alike(value, b.at(key), key);
    }
  } else if (a.is_array()) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) expect_alike(a[i], b[i], where);
  } else if (a.is_number_float()) {
    EXPECT_NEAR(a.get<double>(), b.get<double>(),
                kTolerance * std::max(1.0, std::abs(a.get<double>())));
  } else {
    EXPECT_EQ(a, b);
  }
}

class Emulated : public testing::Test {
 protected:
  Emulated() {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model");
  }
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }

  std::string sweep_file() const {
    const auto sample = [](const char* id, const char* question, const char* answer) {
      return Json{{"id", id}, {"image", kImage}, {"question", question}, {"answer", answer}}
                 .dump() +
             "\n";
    };
    folder_.write("data.jsonl", sample("a", "What is it?", "A red circle.") +
                                    sample("b", "Where?", "Above two blue squares."));
    return folder_
        .write("s.yaml", "models: {path: " + at("model") + "}\ndata: {path: " + at("data.jsonl") +
                             "}\nstrategies: [full, elastic, h2o, streaming-llm, elastic-plus]\n"
                             "budgets: {keep: [0.2, 1.0]}\n"
                             "metrics: {perplexity: true, text: [rougeL]}\n"
                             "generation: {max_new_tokens: 6}\nbootstrap: {iterations: 20}\n")
        .string();
  }
  /// By cell and sample.
  std::map<std::pair<std::string, std::string>, Json> records(const std::string& output) const {
    std::map<std::pair<std::string, std::string>, Json> all;
    const std::string text = read_file(folder_.path() / output / "records.jsonl");
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      const Json record = Json::parse(text.substr(begin, end - begin));
      begin = end + 1;
      if (record.contains("cell"))
        all[{record.at("cell").get<std::string>(), record.at("sample").get<std::string>()}] =
            record;
    }
    return all;
  }

  TemporaryFolder folder_;
};

TEST_F(Emulated, GenerateWritesTheCpusTokens) {
  for (const char* strategy : {"full", "elastic", "h2o", "streaming-llm"}) {
    const std::vector<std::string> arguments{
        "generate", "--model", at("model"), "--image", kImage, "-p", "Hi",
        "-s",       strategy,  "--keep",    "0.3",     "-n",   "8",  "--json"};
    const ProgramResult there = run_on("emulated", arguments);
    ASSERT_EQ(there.exit_code, 0) << there.errors;
    expect_alike(Json::parse(there.output), Json::parse(run_on("cpu", arguments).output));
  }
}

TEST_F(Emulated, ExplainKeepsWhatTheCpuKeeps) {
  const std::vector<std::string> arguments{
      "explain", "--model", at("model"),          "--image", kImage, "-p",
      "Hi",      "-s",      "elastic,h2o,snapkv", "--keep",  "0.25", "--json"};
  const ProgramResult there = run_on("emulated", arguments);
  ASSERT_EQ(there.exit_code, 0) << there.errors;
  expect_alike(Json::parse(there.output), Json::parse(run_on("cpu", arguments).output));
}

TEST_F(Emulated, ASweepsRecordsAreTheCpus) {
  const std::string file = sweep_file();
  const ProgramResult there = run_on("emulated", {"sweep", file, "--output", at("there")});
  ASSERT_EQ(there.exit_code, 0) << there.errors;
  ASSERT_EQ(run_on("cpu", {"sweep", file, "--output", at("here")}).exit_code, 0);
  const auto expected = records("here");
  const auto found = records("there");
  EXPECT_EQ(expected.size(), 2 * 9U);  // the full cache has one budget
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [place, record] : expected) {
    SCOPED_TRACE(place.first + ", " + place.second);
    ASSERT_TRUE(found.contains(place));
    EXPECT_EQ(found.at(place).at("status"), "ok");
    expect_alike(found.at(place), record);
  }
}

TEST_F(Emulated, BenchMeasuresTheDevice) {
  const std::string file = folder_
                               .write("b.yaml",
                                      "models: {shape: tiny}\nlengths: 32+4\nbatch: [1, 4]\n"
                                      "strategies: [full, elastic]\nbudgets: {keep: 0.25}\n"
                                      "runs: 1\nwarmup: 0\n")
                               .string();
  const ProgramResult result = run_on("emulated", {"bench", file, "--json", "-"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const Json json = Json::parse(result.output);
  ASSERT_EQ(json.at("cells").size(), 4U);
  for (const Json& cell : json.at("cells"))
    EXPECT_EQ(cell.at("prefill_seconds").at("count"), 1) << cell.dump();
}

TEST_F(Emulated, GraphsChangeNoAnswer) {
  const std::vector<std::string> generate{"generate", "--model", at("model"), "--image", kImage,
                                          "-p",       "Hi",      "-s",        "h2o",     "--keep",
                                          "0.3",      "-n",      "9",         "--json"};
  const auto without = [](std::vector<std::string> arguments) {
    arguments.emplace_back("--no-graphs");
    return arguments;
  };
  const Json with_graphs = Json::parse(run_on("emulated", generate).output);
  const Json without_graphs = Json::parse(run_on("emulated", without(generate)).output);
  EXPECT_EQ(with_graphs.at("token_ids"), without_graphs.at("token_ids"));
  // It is no mistake where there are none.
  expect_alike(Json::parse(run_on("cpu", without(generate)).output), without_graphs);

  const std::string file = sweep_file();
  const std::vector<std::string> sweep{"sweep", file, "--set",
                                       "metrics.perplexity={one_pass: false}", "--output"};
  const auto into = [&](const std::string& folder, std::vector<std::string> arguments) {
    arguments.push_back(at(folder));
    return arguments;
  };
  ASSERT_EQ(run_on("emulated", into("with", sweep)).exit_code, 0);
  ASSERT_EQ(run_on("emulated", without(into("without", sweep))).exit_code, 0);
  const auto expected = records("without");
  const auto found = records("with");
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [place, record] : expected) {
    SCOPED_TRACE(place.first + ", " + place.second);
    for (const char* key : {"key", "nll_sum", "token_ids"})
      EXPECT_EQ(found.at(place).at(key), record.at(key)) << key;
  }
  const std::string report = read_file(folder_.path() / "without" / "report.md");
  EXPECT_NE(report.find("--no-graphs"), std::string::npos) << report;
}

TEST_F(Emulated, BenchTellsWhichStepsAreGraphs) {
  const std::string file =
      folder_
          .write("b.yaml", "models: {shape: tiny}\nlengths: 32+8\nbatch: [2]\nruns: 1\nwarmup: 1\n")
          .string();
  const ProgramResult with = run_on("emulated", {"bench", file, "--json", at("with.json")});
  ASSERT_EQ(with.exit_code, 0) << with.errors;
  EXPECT_NE(with.output.find("11 of 14 decode steps were launched as graphs"), std::string::npos)
      << with.output;
  const Json graphs = Json::parse(read_file(at("with.json"))).at("models").at(0).at("graphs");
  EXPECT_EQ(graphs, Json({{"recorded", 1}, {"steps_launched", 11}, {"steps_direct", 3}}));
  const ProgramResult without =
      run_on("emulated", {"bench", file, "--no-graphs", "--json", at("without.json")});
  ASSERT_EQ(without.exit_code, 0) << without.errors;
  EXPECT_EQ(without.output.find("graphs"), std::string::npos) << without.output;
  const Json json = Json::parse(read_file(at("without.json")));
  EXPECT_FALSE(json.at("models").at(0).contains("graphs"));
  EXPECT_EQ(json.at("config").at("graphs"), false);
}

TEST_F(Emulated, TheProgramItselfKnowsNoSuchDevice) {
  const ProgramResult result =
      run_elastikv({"generate", "--model", at("model"), "-p", "Hi", "--device", "emulated"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.errors, "error: device 'emulated' is not known; use cpu, cuda or cuda:N\n");
}

}  // namespace
}  // namespace elastikv
