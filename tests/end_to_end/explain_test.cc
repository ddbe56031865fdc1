#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "image/image.h"
#include "models/registry.h"
#include "runtime/prompt_encoder.h"
#include "strategies/registry.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<int64_t>;

const std::string kImage = source_path("datasets/stamp-scenes/test/images/test_0000.png");
constexpr int64_t kLayers = 2;
constexpr int64_t kKvHeads = 2;

/// `explain` on a model of random weights.
class Explain : public testing::Test {
 protected:
  Explain() {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model");
  }
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  ProgramResult explain(std::vector<std::string> more) const {
    std::vector<std::string> arguments{"explain", "--model", at("model")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_elastikv(arguments);
  }
  Json explain_json(std::vector<std::string> more) const {
    more.emplace_back("--json");
    const ProgramResult result = explain(more);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.errors, "");
    EXPECT_EQ(result.output.find('\n'), result.output.size() - 1) << "one object on one line";
    return Json::parse(result.output);
  }
  void expect_refused(const std::vector<std::string>& arguments, const std::string& message) const {
    const ProgramResult result = explain(arguments);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(result.errors, "error: " + message + "\n");
  }

  TemporaryFolder folder_;
};

/// A row of a plan up to its padding.
Ids row_of(const at::Tensor& tensor, int64_t row) {
  Ids ids;
  const at::Tensor line = tensor[row].contiguous();
  for (int64_t i = 0; i < line.numel() && line.const_data_ptr<int64_t>()[i] >= 0; ++i)
    ids.push_back(line.const_data_ptr<int64_t>()[i]);
  return ids;
}

TEST_F(Explain, JsonIsWhatTheStrategiesDecide) {
  const std::vector<std::string> names{"elastic", "h2o", "streaming-llm", "random"};
  const Json json = explain_json({"--image", kImage, "-p", "Hi", "-s", "elastic,h2o,streaming-llm",
                                  "-s", "random", "--keep", "0.25", "--seed", "5"});
  const PromptReader reader(at("model"), PromptSettings());
  const TokenizedPrompt prompt = reader.tokenize("Hi", std::vector<ImageSize>{{192, 192}});
  const auto tokens = static_cast<int64_t>(prompt.ids.size());
  EXPECT_EQ(json.at("prompt_token_ids"), Json(prompt.ids));
  EXPECT_EQ(json.at("prompt_tokens"), tokens);
  EXPECT_EQ(json.at("image_begin"), prompt.images.at(0).begin);
  EXPECT_EQ(json.at("image_end"), prompt.images.at(0).end);
  EXPECT_EQ(json.at("budget"), "keep=0.25");
  EXPECT_EQ(json.at("query_heads"), 4);
  EXPECT_EQ(json.at("kv_heads"), kKvHeads);
  EXPECT_EQ(json.at("head_dim"), 8);
  EXPECT_EQ(json.at("layers"), Json({0, 1}));
  ASSERT_EQ(json.at("strategies").size(), names.size());
  ASSERT_EQ(json.at("kept_agreement").size(), names.size());

  const std::unique_ptr<Model> model =
      load_model(at("model"), c10::Device(c10::DeviceType::CPU), c10::ScalarType::Float);
  StatisticsRequest request;
  request.prefill.column_sums = true;
  for (const std::string& name : names) request = request | make_strategy(name)->needs();
  const EncodedPrompt encoded =
      encode_prompt(*model, reader, prompt, {kImage}, request, /*seed=*/5);
  for (size_t s = 0; s < names.size(); ++s) {
    const std::unique_ptr<Strategy> strategy = make_strategy(names[s]);
    const auto plans = strategy->compress(encoded.statistics, Budget::fraction(0.25));
    const Json& given = json.at("strategies")[s];
    EXPECT_EQ(given.at("name"), names[s]);
    EXPECT_EQ(given.at("description"), strategy->description());
    EXPECT_EQ(given.at("requested_tokens"), tokens / 4);
    EXPECT_EQ(given.at("tokens"), tokens / 4 * kLayers * kKvHeads);
    EXPECT_EQ(given.at("bytes"), tokens / 4 * kLayers * kKvHeads * 8 * 2 * 4);
    ASSERT_EQ(given.at("layers").size(), kLayers);
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      const LayerPlan& plan = plans.at(layer);
      const Json& decision = given.at("layers")[layer];
      EXPECT_EQ(decision.at("layer"), layer);
      const bool shared = plan.kept.size(0) == 1;
      EXPECT_EQ(decision.at("shared_by_heads"), shared);
      ASSERT_EQ(decision.at("heads").size(), kKvHeads);
      for (int64_t head = 0; head < kKvHeads; ++head) {
        const Json& mine = decision.at("heads")[head];
        const Ids kept = row_of(plan.kept, shared ? 0 : head);
        EXPECT_EQ(mine.at("kept"), Json(kept));
        EXPECT_EQ(mine.at("tokens"), kept.size());
        EXPECT_GT(mine.at("attention_lost"), 0);
        EXPECT_LT(mine.at("attention_lost"), 1);
        // Every merged position once, in the group of its anchor.
        std::set<std::pair<int64_t, int64_t>> expected;
        if (plan.source.defined()) {
          const Ids sources = row_of(plan.source, shared ? 0 : head);
          const Ids anchors = row_of(plan.anchor, shared ? 0 : head);
          for (size_t i = 0; i < sources.size(); ++i)
            expected.emplace(kept.at(anchors.at(i)), sources[i]);
        }
        std::set<std::pair<int64_t, int64_t>> found;
        for (const Json& group : mine.at("groups")) {
          EXPECT_EQ(group.at("source_weights").size(), group.at("sources").size());
          for (const Json& source : group.at("sources"))
            EXPECT_TRUE(found.emplace(group.at("anchor"), source.get<int64_t>()).second);
        }
        EXPECT_EQ(found, expected);
        EXPECT_EQ(found.empty(), names[s] != "elastic");
      }
    }
  }
}

TEST_F(Explain, PromptIdsLayersAndOverrides) {
  const Json json =
      explain_json({"--prompt-ids", "72,101,108,108,111,33,72,101,108,108", "--keep-tokens", "4",
                    "-s", "streaming-llm,h2o", "--layers", "1", "--set",
                    "streaming-llm.selection.sinks=1", "--set", "generation=none"});
  EXPECT_EQ(json.at("prompt_tokens"), 10);
  EXPECT_EQ(json.at("image_begin"), json.at("image_end"));
  EXPECT_EQ(json.at("budget"), "keep_tokens=4");
  EXPECT_EQ(json.at("layers"), Json({1}));
  const Json& streaming = json.at("strategies")[0];
  ASSERT_EQ(streaming.at("layers").size(), 1U);
  EXPECT_EQ(streaming.at("layers")[0].at("heads")[1].at("kept"), Json({0, 7, 8, 9}));
  EXPECT_EQ(streaming.at("tokens"), 8);
  EXPECT_NE(json.at("strategies")[1].at("description").get<std::string>().find("none"),
            std::string::npos);
}

TEST_F(Explain, WritesDrawingsAndTables) {
  const ProgramResult result =
      explain({"--image", kImage, "-p", "Hi", "-s", "elastic,streaming-llm", "--keep", "0.3",
               "--out", at("out")});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.output.find("\n| elastic "), std::string::npos) << result.output;
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(at("out"))) {
    files.insert(entry.path().filename().string());
    if (entry.path().extension() != ".png") continue;
    EXPECT_GT(read_image(entry.path()).size.width, 200);
  }
  // streaming-llm ranks nothing.
  EXPECT_EQ(files, (std::set<std::string>{"agreement.csv", "agreement.png", "attention_lost.csv",
                                          "elastic-importance.png", "elastic-kept.png",
                                          "streaming-llm-kept.png"}));
}

TEST_F(Explain, ASampleOfASweep) {
  const std::string data = source_path("datasets/stamp-scenes/test/annotations.json");
  const std::string sweep =
      folder_
          .write("sweep.yaml", "models: {path: " + at("model") + "}\ndata: {path: " + data +
                                   ", limit: 2}\nstrategies:\n  - full\n  - elastic\n  - {preset: "
                                   "elastic, name: evicting, set: {compaction: evict}}\nbudgets: "
                                   "{keep: [0.3, 0.5]}\n")
          .string();
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"explain", sweep});
    return run_elastikv(more);
  };
  ProgramResult result = run({"--json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  Json json = Json::parse(result.output);
  EXPECT_EQ(json.at("sample"), "test_0000");
  EXPECT_EQ(json.at("budget"), "keep=0.3");
  ASSERT_EQ(json.at("strategies").size(), 2U);
  EXPECT_EQ(json.at("strategies")[1].at("name"), "evicting");
  EXPECT_EQ(json.at("kept_agreement")[0][1], 1.0);
  // A sample beyond the sweep's limit, one strategy, another budget.
  result = run({"--json", "--sample", "test_0007", "-s", "evicting", "--keep", "0.5"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  json = Json::parse(result.output);
  EXPECT_EQ(json.at("sample"), "test_0007");
  EXPECT_EQ(json.at("strategies").size(), 1U);
  EXPECT_EQ(json.at("budget"), "keep=0.5");

  const auto refused = [&](const std::vector<std::string>& more, const std::string& message) {
    const ProgramResult outcome = run(more);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.errors, "error: " + message + "\n");
  };
  refused({"--sample", "test_007"}, data + ": no sample 'test_007'; did you mean 'test_0007'?");
  refused(
      {"-s", "evictin"},
      sweep + ": has no strategy 'evictin', and no preset has that name; did you mean 'evicting'?");
  refused({"--image", kImage},
          "--image: takes no sweep file: the file says it (see --set) (see elastikv explain "
          "--help)");
}

TEST_F(Explain, BadInputIsOneLine) {
  const std::string see = " (see elastikv explain --help)";
  const std::vector<std::string> ids{"--json", "--prompt-ids", "1,2,3"};
  const auto with_ids = [&](std::vector<std::string> more) {
    more.insert(more.end(), ids.begin(), ids.end());
    return more;
  };
  expect_refused(with_ids({"-s", "elastc", "--keep", "0.5"}),
                 "strategy 'elastc' is unknown; did you mean 'elastic'?");
  expect_refused(with_ids({"-s", "elastic,elastic", "--keep", "0.5"}),
                 "--strategy names 'elastic' twice");
  expect_refused(
      with_ids({"-s", "elastic", "--keep", "1.5"}),
      "budget keep=1.5 is out of range; a fraction kept above 0 and at most 1 is needed");
  expect_refused(with_ids({"-s", "elastic", "--keep", "0.5", "--layers", "2"}),
                 "--layers: the model has no layer 2, its last is 1");
  expect_refused(with_ids({"-s", "elastic", "--keep", "0.5", "--layers", "0,x"}),
                 "--layers: 'x' is no layer (a list such as 0,4,8-11 is needed)");
  expect_refused(with_ids({"-s", "elastic"}), "--keep or --keep-tokens is required" + see);
  expect_refused(with_ids({"--keep", "0.5"}), "--strategy is required" + see);
  expect_refused(with_ids({"-s", "elastic", "--keep", "0.5", "--image", kImage}),
                 "--prompt-ids: takes no --image: the ids are the whole prompt" + see);
  expect_refused({"-s", "elastic", "--keep", "0.5"},
                 "a sweep file, --prompt or --prompt-ids is required" + see);
  expect_refused({"-s", "elastic", "--keep", "0.5", "-p", "Hi", "--sample", "x"},
                 "--sample: needs a sweep file" + see);
  expect_refused({"-s", "elastic", "--keep", "0.5", "-p", "Hi"},
                 "the prompt has no image to draw on; --json prints what is kept without one");
  expect_refused({"-s", "elastic", "--keep", "0.5", "--json", "--prompt-ids", "1,260"},
                 "--prompt-ids: 260 is outside the vocabulary of 260");
  expect_refused({"-s", "elastic", "--keep", "0.5", "--json", "--prompt-ids", "1,,2"},
                 "--prompt-ids: '' is no token id (a list such as 1,2,3 is needed)");
  expect_refused({"-s", "elastic", "--keep", "0.5", "--image", at("none.png"), "-p", "Hi"},
                 at("none.png") + ": cannot open: No such file or directory");
}

}  // namespace
}  // namespace elastikv
