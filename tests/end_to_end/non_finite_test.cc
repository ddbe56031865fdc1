// What the program says of a model that computes no numbers.
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr const char* kDamaged = "; a weight of the checkpoint may be damaged";
constexpr const char* kEmbedding =
    "the embedding of token 87 ('W'), number 1 of the prompt's 3, is not finite";

/// A text model of random weights in which the embedding of "W" is no number.
class NonFiniteVerbs : public testing::Test {
 protected:
  NonFiniteVerbs() : weights_(write_tiny_checkpoint(folder_, "model", /*images=*/false)) {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    damage("embed_tokens.weight", size_t{'W'} * 32);
  }
  void damage(const std::string& name, size_t index) {
    CraftedTensors damaged = weights_;
    for (auto& [full, tensor] : damaged.tensors) {
      if (full.ends_with(name)) tensor.values.at(index) = std::numeric_limits<float>::quiet_NaN();
    }
    folder_.write("model/model.safetensors", damaged.bytes());
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  TemporaryFolder folder_;
  CraftedTensors weights_;
};

TEST_F(NonFiniteVerbs, GenerateSaysWhatIsNotFinite) {
  const std::vector<std::string> command{"generate",        "--model", path("model"),
                                         "--prompt-format", "plain",   "-p"};
  for (const char* form : {"", "--json"}) {
    std::vector<std::string> arguments = command;
    arguments.emplace_back("Who");
    if (*form != '\0') arguments.emplace_back(form);
    const ProgramResult result = run_elastikv(arguments);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(result.errors, "error: " + std::string(kEmbedding) + kDamaged + "\n");
  }
  std::vector<std::string> sound = command;
  sound.emplace_back("who");
  EXPECT_EQ(run_elastikv(sound).exit_code, 0);
}

TEST_F(NonFiniteVerbs, GenerateSaysAfterHowManyTokens) {
  const std::vector<std::string> command{"generate", "--model", path("model"), "--prompt-ids",
                                         "1,2,3",    "-n",      "4",           "--json"};
  const Json sound = Json::parse(run_elastikv(command).output);
  const auto first = sound.at("token_ids").at(0).get<int64_t>();
  damage("embed_tokens.weight", static_cast<size_t>(first) * 32);
  const ProgramResult result = run_elastikv(command);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(result.errors, "error: after 1 new tokens: the embedding of token " +
                               std::to_string(first) + " is not finite" + kDamaged + "\n");
}

TEST_F(NonFiniteVerbs, ExplainSaysWhatIsNotFinite) {
  const ProgramResult result =
      run_elastikv({"explain", "--model", path("model"), "--prompt-format", "plain", "-p", "Who",
                    "-s", "h2o", "--keep", "0.5", "--json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(result.errors, "error: " + std::string(kEmbedding) + kDamaged + "\n");
}

TEST_F(NonFiniteVerbs, BenchSaysWhatIsNotFinite) {
  damage("lm_head.weight", 0);
  const std::string file =
      folder_
          .write("bench.yaml", "models: {path: " + path("model") +
                                   "}\nlengths: 8+4\nbatch: 1\nstrategies: [h2o]\n"
                                   "budgets: {keep: 0.5}\nruns: 1\nwarmup: 0\noutput: " +
                                   path("bench") + "\n")
          .string();
  const ProgramResult result = run_elastikv({"bench", file});
  EXPECT_EQ(result.exit_code, 1);
  const size_t at = result.errors.find("error: ");
  ASSERT_NE(at, std::string::npos) << result.errors;
  EXPECT_EQ(result.errors.substr(at),
            "error: " + file +
                ":1: model in fp32 on cpu: batch 1 of 8+4 tokens under 'h2o' at "
                "budget 0.5: the logits are not finite, though every layer's output is" +
                kDamaged + "\n");
}

/// One sample that makes no numbers fails, with the reason in its records; the others are whole.
TEST_F(NonFiniteVerbs, ASweepsRecordsSayWhatIsNotFinite) {
  folder_.write("data.jsonl", R"({"id": "bad", "question": "Who", "answer": "me"}
{"id": "worse", "question": "me", "answer": "aWa"}
{"id": "good", "question": "who", "answer": "you"}
)");
  const std::string sweep =
      folder_
          .write("sweep.yaml", "models: {path: " + path("model") +
                                   ", prompt_format: plain}\ndata: {path: " + path("data.jsonl") +
                                   "}\nstrategies: [full, h2o, streaming-llm]\n"
                                   "budgets: {keep: 0.5}\ngeneration: {max_new_tokens: 2}\n"
                                   "output: " +
                                   path("out") + "\n")
          .string();
  const ProgramResult result = run_elastikv({"sweep", sweep});
  EXPECT_EQ(result.exit_code, 2) << result.errors;
  std::ifstream file(path("out") + "/records.jsonl");
  int records = 0;
  for (std::string line; std::getline(file, line); ++records) {
    const Json record = Json::parse(line);
    const std::string error = record.value("error", "");
    if (record.at("sample") == "bad") {
      EXPECT_EQ(error, std::string(kEmbedding) + kDamaged);
    } else if (record.at("sample") == "worse") {
      const std::string reason = std::string("the embedding of token 87 is not finite") + kDamaged;
      const bool full = record.at("cell").get<std::string>().ends_with("/full");
      EXPECT_TRUE(error == reason || (!full && error.ends_with(reason))) << line;
    } else {
      EXPECT_EQ(error, "") << line;
    }
  }
  EXPECT_EQ(records, 9);
  EXPECT_EQ(run_elastikv({"report", path("out")}).exit_code, 0);
}

}  // namespace
}  // namespace elastikv
