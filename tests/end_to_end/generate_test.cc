#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr int64_t kNewTokens = 12;
const std::string kImage = source_path("datasets/stamp-scenes/test/images/test_0000.png");
const std::vector<std::string> kPresets{"full",   "elastic",       "elastic-released",
                                        "h2o",    "h2o-released",  "local-released",
                                        "random", "streaming-llm", "stride"};

/// `generate`, `list` and `inspect` on a model of random weights.
class Generate : public testing::Test {
 protected:
  Generate() {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model");
  }
  std::string model() const { return (folder_.path() / "model").string(); }
  ProgramResult generate(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{"generate", "--model", model(), "-n",
                                       std::to_string(kNewTokens)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_elastikv(arguments);
  }
  Json generate_json(std::vector<std::string> more) const {
    more.emplace_back("--json");
    const ProgramResult result = generate(more);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.errors, "");
    EXPECT_EQ(result.output.find('\n'), result.output.size() - 1) << "one object on one line";
    return Json::parse(result.output);
  }

  TemporaryFolder folder_;
};

TEST_F(Generate, JsonHoldsTextTokensCacheAndSeconds) {
  const Json answer = generate_json({"--image", kImage, "-p", "Hi", "-s", "h2o", "--keep", "0.25"});
  EXPECT_TRUE(answer.at("text").is_string());
  EXPECT_EQ(answer.at("token_ids").size(), kNewTokens);
  EXPECT_EQ(answer.at("finished"), false);
  EXPECT_EQ(answer.at("strategy"), "h2o");
  EXPECT_EQ(answer.at("budget"), "keep=0.25");
  // ChatML with an image: one token per byte, 9 of the image.
  std::string expected =
      "\001system\nYou are a helpful assistant that looks at pictures.\002\n"
      "\001user\n\003\nHi\002\n\001assistant\n";
  std::vector<int64_t> prompt;
  for (const char letter : expected) {
    const int64_t special = letter == '\001' ? 257 : letter == '\002' ? 258 : 259;
    const int64_t times = letter == '\003' ? 9 : 1;
    prompt.insert(prompt.end(), times, letter > '\003' ? letter : special);
  }
  EXPECT_EQ(answer.at("prompt_token_ids"), Json(prompt));
  const Json& cache = answer.at("cache");
  const auto prompt_tokens = static_cast<int64_t>(prompt.size());
  EXPECT_EQ(cache.at("prompt_tokens"), prompt_tokens);
  EXPECT_EQ(cache.at("image_tokens"), 9);
  const int64_t kept = prompt_tokens / 4;
  EXPECT_EQ(cache.at("kept_tokens_per_layer"), Json({kept, kept}));
  // The last token is generated but never enters the cache.
  const int64_t at_end = (prompt_tokens + kNewTokens - 1) / 4;
  EXPECT_EQ(cache.at("tokens_per_layer_at_end"), Json({at_end, at_end}));
  constexpr int64_t kTokenBytes = 2 * 2 * 2 * 8 * 4;  // layers, K and V, heads, head_dim, fp32
  EXPECT_EQ(cache.at("bytes_after_prompt"), kept * kTokenBytes);
  EXPECT_EQ(cache.at("bytes_at_end"), at_end * kTokenBytes);
  EXPECT_EQ(cache.at("bytes_at_end_full_cache"), (prompt_tokens + kNewTokens - 1) * kTokenBytes);
  for (const char* phase : {"image", "prefill", "statistics", "decode"})
    EXPECT_GT(answer.at("seconds").at(phase).get<double>(), 0) << phase;
  EXPECT_GE(answer.at("seconds").at("compression").get<double>(), 0);
  EXPECT_GT(answer.at("tokens_per_second").get<double>(), 0);
}

TEST_F(Generate, TextIsTheJsonsText) {
  const Json json = generate_json({"--image", kImage, "-p", "Hi"});
  const ProgramResult text = generate({"--image", kImage, "-p", "Hi"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_EQ(text.output, json.at("text").get<std::string>() + "\n");
  EXPECT_NE(text.errors.find(" prompt tokens (9 of the image), 12 new; "), std::string::npos)
      << text.errors;
}

TEST_F(Generate, PromptIdsAreTheWholePrompt) {
  const Json by_text = generate_json({"-p", "Hi", "--prompt-format", "plain"});
  EXPECT_EQ(by_text.at("prompt_token_ids"), Json({'H', 'i'}));
  const Json by_ids = generate_json({"--prompt-ids", "72,105"});
  EXPECT_EQ(by_ids.at("prompt_token_ids"), Json({'H', 'i'}));
  EXPECT_EQ(by_ids.at("token_ids"), by_text.at("token_ids"));
}

TEST_F(Generate, BudgetOneEqualsTheFullCache) {
  const Json full = generate_json({"--image", kImage, "-p", "Hi", "-s", "full"});
  bool any_differs = false;
  for (const std::string& preset : kPresets) {
    const std::vector<std::string> common{"--image", kImage, "-p", "Hi", "-s", preset};
    std::vector<std::string> everything = common;
    everything.insert(everything.end(), {"--keep", "1.0"});
    EXPECT_EQ(generate_json(everything).at("token_ids"), full.at("token_ids")) << preset;
    std::vector<std::string> little = common;
    little.insert(little.end(), {"--keep", "0.1"});
    any_differs = any_differs || generate_json(little).at("token_ids") != full.at("token_ids");
  }
  EXPECT_TRUE(any_differs) << "a tenth of the cache changes nothing: the test could not fail";
}

TEST_F(Generate, TextModelTakesNoImage) {
  write_tiny_checkpoint(folder_, "model", /*images=*/false);
  EXPECT_EQ(generate_json({"-p", "Hi", "-s", "streaming-llm", "--keep-tokens", "9"})
                .at("cache")
                .at("tokens_per_layer_at_end"),
            Json({9, 9}));
  const ProgramResult refused = generate({"--image", kImage, "-p", "Hi"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.errors, "error: " + model() + ": this model takes no images\n");
}

TEST_F(Generate, InspectDescribesTheCheckpoint) {
  const ProgramResult result = run_elastikv({"inspect", model(), "--tensors"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.errors, "");
  EXPECT_EQ(result.output.find(
                "architecture:  LlavaForConditionalGeneration\n"
                "decoder:       2 layers, hidden 32, 4 query and 2 KV heads of 8, vocabulary 260\n"
                "vision tower:  CLIP, 2 layers, hidden 16, 2 heads, 24 px in patches of 8\n"
                "image:         placeholder token 259\n"
                "context:       512 tokens\n"
                "KV cache:      128 bytes a token at 16 bits\n"
                "weights:       "),
            0U)
      << result.output;
  EXPECT_NE(result.output.find("lm_head.weight"), std::string::npos) << result.output;
  EXPECT_TRUE(result.output.ends_with("complete: every tensor that the model needs is there\n"));
}

TEST(List, NamesWhatThereIs) {
  const ProgramResult strategies = run_elastikv({"list", "strategies"});
  EXPECT_EQ(strategies.exit_code, 0);
  for (const std::string& preset : kPresets)
    EXPECT_NE(strategies.output.find("\n  " + preset + " "), std::string::npos) << preset;
  EXPECT_EQ(run_elastikv({"list", "models"}).output,
            "architectures:\n  LlamaForCausalLM\n  MistralForCausalLM\n  Qwen2ForCausalLM\n"
            "  Qwen3ForCausalLM\n  LlavaForConditionalGeneration\n"
            "  LlavaNextForConditionalGeneration\n  LlavaOnevisionForConditionalGeneration\n"
            "  LlavaLlamaForCausalLM\n  Idefics3ForConditionalGeneration\n"
            "  SmolVLMForConditionalGeneration\n  Qwen2VLForConditionalGeneration\n"
            "  Qwen2_5_VLForConditionalGeneration\n  QWenLMHeadModel\n");
  const std::string metrics = run_elastikv({"list", "metrics"}).output;
  EXPECT_EQ(metrics.find("text metrics:\n  rouge-1-pltrdy\n"), 0U) << metrics;
  const std::string prompts = run_elastikv({"list", "prompts"}).output;
  EXPECT_NE(prompts.find("\n  llava-v1-elastic-cache "), std::string::npos) << prompts;
  const std::string all = run_elastikv({"list"}).output;
  const std::string formats = run_elastikv({"list", "formats"}).output;
  EXPECT_NE(formats.find("\n  mm-vet\n"), std::string::npos) << formats;
  const std::string keys = run_elastikv({"list", "keys"}).output;
  EXPECT_NE(keys.find("\n| `generation.max_new_tokens` | integer from 1 to 1048576 | `128` | "),
            std::string::npos)
      << keys;
  EXPECT_NE(keys.find("\n**The whole benchmark**\n"), std::string::npos) << keys;
  const std::string tasks = run_elastikv({"list", "tasks"}).output;
  EXPECT_NE(tasks.find("\n  textvqa           Short answers about text"), std::string::npos)
      << tasks;
  const std::string components = run_elastikv({"list", "components"}).output;
  EXPECT_NE(components.find("\n  compaction/evict\n"), std::string::npos) << components;
  EXPECT_EQ(all, strategies.output + components + run_elastikv({"list", "models"}).output +
                     prompts + formats + metrics + tasks + keys);
}

/// A data set of text alone, on a model without a vision tower.
TEST(TextSweep, LlamaOnAPlainTextFile) {
  setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
  const TemporaryFolder folder;
  write_tiny_checkpoint(folder, "model", /*images=*/false);
  std::string words;
  for (int i = 0; i < 40; ++i) words += "word" + std::to_string(i) + (i % 8 == 7 ? "\n" : " ");
  folder.write("book.txt", words);
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  const std::string sweep =
      folder
          .write("sweep.yaml", "models: {path: " + path("model") +
                                   ", prompt_format: plain}\n"
                                   "data: {path: " +
                                   path("book.txt") +
                                   ", context_words: 12, answer_words: 4}\n"
                                   "strategies: [elastic, streaming-llm]\n"
                                   "budgets: {keep_tokens: 16}\n"
                                   "generation: {max_new_tokens: 4}\noutput: " +
                                   path("out") + "\n")
          .string();
  const ProgramResult plan = run_elastikv({"plan", sweep});
  EXPECT_EQ(plan.exit_code, 0) << plan.errors;
  EXPECT_EQ(plan.errors, "");
  // The hidden full cache gives the reference texts.
  EXPECT_NE(plan.output.find("\nSweep 'sweep': 2 cells in tables, 6 evaluations of 2 samples with "
                             "2 prefills, at most 24 new tokens; output in " +
                             path("out") + ".\n"),
            std::string::npos)
      << plan.output;
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  const ProgramResult result = run_elastikv({"sweep", sweep});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.output.find("| streaming-llm |"), std::string::npos) << result.output;
}

/// Windows of tokens: the ids go to the model as they are, and a record has one log likelihood per
/// scored token.
TEST(TextSweep, WindowsOfTokensAreScoredTokenByToken) {
  setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
  const TemporaryFolder folder;
  write_tiny_checkpoint(folder, "model", /*images=*/false);
  std::string words;
  for (int i = 0; i < 40; ++i) words += "word" + std::to_string(i) + (i % 8 == 7 ? "\n" : " ");
  folder.write("book.txt", words);
  const auto path = [&](const std::string& name) { return (folder.path() / name).string(); };
  const auto sweep = [&](const std::string& windows, const std::string& output) {
    return folder
        .write(output + ".yaml",
               "name: windows\nmodels: {path: " + path("model") +
                   "}\ndata: {path: " + path("book.txt") + ", name: book, " + windows +
                   "}\nstrategies: [full, streaming-llm, h2o]\nbudgets: {keep_tokens: 16}\n"
                   "metrics: {text: [], agreement: false}\noutput: " +
                   path(output) + "\n")
        .string();
  };
  const auto records = [&](const std::string& output) {
    std::map<std::string, Json> by_name;
    std::ifstream file(path(output) + "/records.jsonl");
    for (std::string line; std::getline(file, line);) {
      const Json record = Json::parse(line);
      by_name[record.at("cell").get<std::string>() + " " + record.at("sample").get<std::string>()] =
          record;
    }
    return by_name;
  };
  // One token per byte: 270 tokens.
  ASSERT_EQ(words.size(), 270U);
  ProgramResult result =
      run_elastikv({"sweep", sweep("prompt_tokens: 40, answer_tokens: 60, stride: 120", "long")});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const auto long_answers = records("long");
  EXPECT_EQ(long_answers.size(), 6U);
  for (const auto& [name, record] : long_answers) {
    EXPECT_EQ(record.at("prompt_tokens"), 40) << name;  // no chat template
    EXPECT_EQ(record.at("scored_tokens"), 60) << name;
    EXPECT_EQ(record.at("nll").size(), 60U) << name;
    EXPECT_EQ(record.at("text"), "") << name;
  }
  // Thirty tokens more in the prompt leave the full cache's scores of the others as they were.
  result =
      run_elastikv({"sweep", sweep("prompt_tokens: 70, answer_tokens: 30, stride: 120", "short")});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const auto short_answers = records("short");
  for (const char* sample : {"tokens-0", "tokens-120"}) {
    const std::string name = std::string("model-fp32/book/full ") + sample;
    const Json& forced = long_answers.at(name).at("nll");
    const Json& prefilled = short_answers.at(name).at("nll");
    for (size_t i = 0; i < 30; ++i)
      EXPECT_NEAR(forced[30 + i].get<double>(), prefilled[i].get<double>(), 1e-4) << name << i;
    const std::string other = std::string("model-fp32/book/streaming-llm/16t ") + sample;
    EXPECT_NE(long_answers.at(other).at("nll"), forced);
    EXPECT_NE(long_answers.at(name).at("key"), short_answers.at(name).at("key"));
  }
  result = run_elastikv(
      {"sweep", sweep("prompt_tokens: 70, answer_tokens: 30, stride: 120", "short"), "--resume"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(records("short"), short_answers);

  result = run_elastikv({"plan", sweep("prompt_tokens: 200, answer_tokens: 71", "none")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.errors, "error: " + path("book.txt") +
                               ": a window needs 271 tokens (200 of prompt, 71 of answer), the "
                               "text has 270\n");
  folder.write("book.txt", std::string(600, 'x'));
  result = run_elastikv({"sweep", sweep("prompt_tokens: 12, answer_tokens: 501", "none")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.errors, "error: " + path("book.txt") +
                               ": the prompt of sample 'tokens-0' has 12 tokens and up to 501 more "
                               "follow, but the model's context is 512\n");
}

}  // namespace
}  // namespace elastikv
