// Every way in which a model or its device can fail, through every verb.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
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
using Words = std::vector<std::string>;

/// A sweep over a tiny model: three samples with an image, of which "long" does not fit into the
/// context, and two are looked at; strategies that read column sums, rows and nothing.
class Faults : public testing::Test {
 protected:
  Faults() {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model");
    fs::copy(source_path("datasets/stamp-scenes/test/images/test_0010.png"), at("a.png"));
    std::string lines;
    for (const std::string id : {"first", "long", "last"}) {
      const std::string question = id == "long" ? std::string(700, 'q') : "What is it?";
      lines += Json{{"id", id}, {"question", question}, {"answer", "A stamp."}, {"image", "a.png"}}
                   .dump() +
               "\n";
    }
    folder_.write("data.jsonl", lines);
    folder_.write("sweep.yaml", "models: {path: " + at("model") +
                                    "}\ndata: {path: " + at("data.jsonl") +
                                    ", name: set}\nstrategies: [full, elastic, h2o, snapkv, "
                                    "streaming-llm]\nbudgets: {keep: 0.4}\n"
                                    "generation: {max_new_tokens: 3}\noutput: " +
                                    at("out") + "\n");
    folder_.write("bench.yaml", "models: {path: " + at("model") +
                                    "}\nbatch: [1]\nlengths: [20+4]\nstrategies: [elastic]\n"
                                    "budgets: {keep: [0.4]}\nruns: 1\n");
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }

  ProgramResult run(const std::string& fault, Words words) const {
    words.insert(words.begin(), program_path("faulty_elastikv"));
    if (fault.empty()) {
      unsetenv("ELASTIKV_FAULT");
    } else {
      setenv("ELASTIKV_FAULT", fault.c_str(), /*overwrite=*/1);
    }
    return run_command(words);
  }
  /// The report of a folder can be made whatever went wrong while it was written.
  void expect_report(const std::string& fault) const {
    const ProgramResult result = run(fault, {"report", at("out"), "--output", at("tables")});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.errors.find(": damaged"), std::string::npos) << result.errors;
  }

  TemporaryFolder folder_;
};

/// A fault, and what its message says of it.
struct Case {
  const char* fault;
  const char* says;
};
/// Of the call's first time: in a sweep the first sample's.
const Case kCases[] = {
    {"image-nan", "not finite"},
    {"embed-nan", "not finite"},
    {"prefill-nan", "not finite"},
    {"image-memory", "out of memory"},
    {"prefill-memory", "out of memory"},
    {"image-library", "a library's error"},
    {"prefill-library", "a library's error"},
    {"prefill-internal", "a broken promise"},
    {"decode-nan", "not finite"},
    {"decode-memory", "out of memory"},
    {"decode-library", "a library's error"},
    {"decode-internal", "a broken promise"},
};

TEST_F(Faults, OneSampleThatFailsLeavesTheOthers) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.fault);
    fs::remove_all(at("out"));
    const Words sweep{"sweep", at("sweep.yaml"), "--keep-going"};
    const ProgramResult result = run(c.fault, sweep);
    EXPECT_EQ(result.exit_code, 2) << result.errors;
    const std::string records = read_file(at("out") + "/records.jsonl");
    const std::string first = records.substr(0, records.find("\"sample\":\"last\""));
    // Memory that comes back is no failure: cells are tried again in parts.
    if (std::string(c.fault).find("memory") == std::string::npos) {
      EXPECT_NE(first.find(c.says), std::string::npos) << first.substr(0, 1000);
    }
    EXPECT_NE(records.find("\"sample\":\"last\",\"status\":\"ok\""), std::string::npos);
    EXPECT_EQ(records.find("\"sample\":\"last\",\"status\":\"sample\""), std::string::npos);
    expect_report(c.fault);
    // Without the fault all is there that can be, and the sample that is too long stays out.
    Words again = sweep;
    again.emplace_back("--resume");
    const ProgramResult mended = run("", again);
    EXPECT_EQ(mended.exit_code, 2) << mended.errors;
    EXPECT_NE(mended.errors.find("sample long: "), std::string::npos) << mended.errors;
    const std::string table = mended.output;
    EXPECT_EQ(table.find("failed"), std::string::npos) << table;
  }
}

TEST_F(Faults, StatisticsThatAreNoNumbersFailOnlyWhoReadsThem) {
  const ProgramResult result =
      run("statistics-nan", {"sweep", at("sweep.yaml"), "--keep-going", "--set", "data.limit=1"});
  EXPECT_EQ(result.exit_code, 2) << result.errors;
  const std::string records = read_file(at("out") + "/records.jsonl");
  for (const char* reader : {"elastic/0.4", "h2o/0.4", "snapkv/0.4"}) {
    EXPECT_NE(
        records.find(fmt::format("set/{}\",\"sample\":\"first\",\"status\":\"failed\"", reader)),
        std::string::npos)
        << reader;
  }
  for (const char* other : {"full", "streaming-llm/0.4"}) {
    EXPECT_NE(records.find(fmt::format("set/{}\",\"sample\":\"first\",\"status\":\"ok\"", other)),
              std::string::npos)
        << other;
  }
  EXPECT_NE(records.find("layer 1"), std::string::npos) << "the layer is named";
  expect_report("");
}

TEST_F(Faults, ALostDeviceEndsTheSweepWithWhatIsDone) {
  for (const std::string fault : {"prefill-lost@2", "decode-lost@4", "image-lost@2"}) {
    SCOPED_TRACE(fault);
    fs::remove_all(at("out"));
    const Words sweep{"sweep", at("sweep.yaml"), "--keep-going"};
    const ProgramResult result = run(fault, sweep);
    EXPECT_EQ(result.exit_code, 2) << result.errors;
    EXPECT_NE(result.errors.find("the device stopped answering"), std::string::npos)
        << result.errors;
    EXPECT_NE(result.errors.find("CUDA error: an illegal memory access"), std::string::npos);
    EXPECT_NE(result.errors.find("--resume continues"), std::string::npos);
    const std::string records =
        fs::exists(at("out") + "/records.jsonl") ? read_file(at("out") + "/records.jsonl") : "";
    EXPECT_EQ(records.find("CUDA error"), std::string::npos) << "no sample is to blame";
    Words again = sweep;
    again.emplace_back("--resume");
    const ProgramResult mended = run("", again);
    EXPECT_EQ(mended.exit_code, 2) << mended.errors;  // the long sample
    const std::string whole = read_file(at("out") + "/records.jsonl");
    EXPECT_NE(whole.find("\"sample\":\"last\",\"status\":\"ok\""), std::string::npos);
  }
}

TEST_F(Faults, ASampleIsPrefilledOnceThoughItIsLookedAt) {
  // Two of the three samples are tried, and one is looked at, by what its cells needed.
  const ProgramResult result = run("prefill-lost@3", {"sweep", at("sweep.yaml"), "--keep-going"});
  EXPECT_EQ(result.errors.find("the device stopped answering"), std::string::npos) << result.errors;
  const std::string details = read_file(at("out") + "/details.jsonl");
  EXPECT_EQ(std::count(details.begin(), details.end(), '\n'), 1);
}

TEST_F(Faults, VerbsThatAnswerOneQuestionSayWhatFailed) {
  for (const char* call : {"image", "embed", "prefill", "decode"}) {
    for (const auto& [kind, says] : std::vector<std::pair<std::string, std::string>>{
             {"nan", "not finite"},
             {"memory", "ut of memory"},
             {"lost", "CUDA error: an illegal memory access"},
             {"library", "a library's error"}}) {
      const std::string fault = fmt::format("{}-{}", call, kind);
      SCOPED_TRACE(fault);
      const ProgramResult answer =
          run(fault, {"generate", "--model", at("model"), "--image", at("a.png"), "-p", "What?",
                      "-n", "5", "--strategy", "h2o", "--keep", "0.4"});
      EXPECT_EQ(answer.exit_code, 1) << answer.output << answer.errors;
      EXPECT_NE(answer.errors.find(says), std::string::npos) << answer.errors;
      if (std::string(call) == "decode") continue;  // the other verb does not decode
      const ProgramResult look =
          run(fault, {"explain", "--model", at("model"), "--image", at("a.png"), "-p", "What?",
                      "-s", "h2o", "--keep", "0.4", "--out", at("look")});
      EXPECT_EQ(look.exit_code, 1) << look.output << look.errors;
      EXPECT_NE(look.errors.find(says), std::string::npos) << look.errors;
    }
  }
}

TEST_F(Faults, BenchSaysWhatFailed) {
  for (const std::string fault :
       {"prefill-nan", "prefill-lost", "decode-lost", "prefill-library"}) {
    SCOPED_TRACE(fault);
    const ProgramResult result =
        run(fault, {"bench", at("bench.yaml"), "--output", at("bench-" + fault)});
    EXPECT_TRUE(result.exit_code == 1 || result.exit_code == 2) << result.errors << result.output;
    const std::string all = result.output + result.errors;
    EXPECT_EQ(all.find("internal error"), std::string::npos) << all;
    EXPECT_TRUE(all.find("finite") != std::string::npos ||
                all.find("CUDA error") != std::string::npos ||
                all.find("a library's error") != std::string::npos)
        << all;
  }
}

/// A folder in which a sample failed, with all that is made from folders.
TEST_F(Faults, VerbsThatReadAFolderSayWhatIsMissing) {
  ASSERT_EQ(run("prefill-nan", {"sweep", at("sweep.yaml"), "--keep-going"}).exit_code, 2);
  const Words texts{"export",   at("out"), "--strategy", "h2o",
                    "--budget", "0.4",     "--output",   at("texts.jsonl")};
  const ProgramResult refused = run("", texts);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.errors.find("has no text of 2 samples: first (the logits are not finite"),
            std::string::npos)
      << refused.errors;
  Words allowed = texts;
  allowed.emplace_back("--allow-missing");
  EXPECT_EQ(run("", allowed).exit_code, 0);
  const ProgramResult compared = run("", {"compare", at("out"), "--with", "elastic-cache-table3"});
  EXPECT_LE(compared.exit_code, 2) << compared.errors;
  EXPECT_EQ(compared.errors.find(": damaged"), std::string::npos) << compared.errors;
}

/// They load no model.
TEST_F(Faults, TheOtherVerbsDoNotNotice) {
  EXPECT_EQ(run("prefill-lost", {"plan", at("sweep.yaml"), "--keep-going"}).exit_code, 0);
  EXPECT_EQ(run("prefill-lost", {"inspect", at("model")}).exit_code, 0);
  EXPECT_EQ(run("prefill-lost", {"list"}).exit_code, 0);
  folder_.write("texts.jsonl", R"({"id": "a", "reference": "one two", "candidate": "one"})"
                               "\n");
  EXPECT_EQ(run("prefill-lost", {"score", at("texts.jsonl")}).exit_code, 0);
}

}  // namespace
}  // namespace elastikv
