// What can be said of a checkpoint before all of it is there, and of one that cannot be computed.
#include <cstdlib>
#include <filesystem>
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

namespace fs = std::filesystem;
using Json = nlohmann::json;

const std::string kImage = source_path("datasets/stamp-scenes/test/images/test_0000.png");
constexpr const char* kNoTokenizer =
    ": no tokenizer; tokenizer.json, tokenizer.model, qwen.tiktoken, or vocab.json with merges.txt "
    "is needed";
constexpr const char* kNoWeights =
    "missing:       the weights: model.safetensors or its shards with "
    "model.safetensors.index.json, or pytorch_model.bin or its shards with "
    "pytorch_model.bin.index.json\n";

class Inspect : public testing::Test {
 protected:
  Inspect() { setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1); }
  std::string model() const { return (folder_.path() / "model").string(); }
  void remove(const std::string& name) const { fs::remove(folder_.path() / "model" / name); }
  static ProgramResult inspect(const std::string& folder, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"inspect", folder});
    return run_elastikv(more);
  }
  static void expect_lines(const ProgramResult& result, const std::vector<std::string>& lines) {
    for (const std::string& line : lines)
      EXPECT_NE(("\n" + result.output).find("\n" + line + "\n"), std::string::npos)
          << line << " is missing in\n"
          << result.output << result.errors;
  }

  TemporaryFolder folder_;
};

/// People look before they download 15 GB.
TEST_F(Inspect, APublishedConfigurationIsDescribedWithoutWeights) {
  folder_.write("model/config.json",
                read_file(source_path("configs/models/llava-1.5-7b-hf.config.json")));
  const ProgramResult result = inspect(model());
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.errors, "");
  expect_lines(
      result,
      {"architecture:  LlavaForConditionalGeneration",
       "decoder:       32 layers, hidden 4096, 32 query and 32 KV heads of 128, vocabulary 32064",
       "vision tower:  CLIP, 24 layers, hidden 1024, 16 heads, 336 px in patches of 14",
       "context:       4096 tokens", "KV cache:      524288 bytes a token at 16 bits",
       "weights:       668 tensors, 7050.8 M parameters are needed",
       "fp32:          26.3 GiB of weights, 1.0 MiB of cache a token, 4.0 GiB for all 4096 of "
       "the context",
       "bf16, fp16:    13.1 GiB of weights, 524288 bytes of cache a token, 2.0 GiB for all 4096 of "
       "the context",
       "missing:       " + model() + kNoTokenizer});
  EXPECT_NE(result.output.find(kNoWeights), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("\nmissing:       " + model() + ": no preprocessor_config.json"),
            std::string::npos)
      << result.output;
  EXPECT_EQ(result.output.find("complete"), std::string::npos);
  const ProgramResult strict = inspect(model(), {"--strict"});
  EXPECT_EQ(strict.exit_code, 1);
  EXPECT_EQ(strict.output, result.output);
  EXPECT_EQ(run_elastikv({"generate", "--model", model(), "-p", "x"}).exit_code, 1);
}

TEST_F(Inspect, EveryPublishedConfigurationIs) {
  int described = 0;
  for (const auto& entry : fs::directory_iterator(source_path("configs/models"))) {
    if (!entry.path().filename().string().ends_with(".config.json")) continue;
    folder_.write("model/config.json", read_file(entry.path()));
    const ProgramResult result = inspect(model());
    EXPECT_EQ(result.exit_code, 0) << entry.path() << result.errors;
    EXPECT_NE(result.output.find(" M parameters are needed\n"), std::string::npos) << entry.path();
    ++described;
  }
  EXPECT_GE(described, 6);
}

TEST_F(Inspect, WhatIsThereIsShownAndWhatIsNotIsListed) {
  write_tiny_checkpoint(folder_, "model");
  const ProgramResult whole = inspect(model(), {"--strict"});
  EXPECT_EQ(whole.exit_code, 0) << whole.output;
  EXPECT_EQ(whole.output.find("missing:"), std::string::npos) << whole.output;
  const std::string form = "prompt format: the chat template of " + model() +
                           "/chat_template.jinja (hash ff3fab88ca376f2294f67ef018265104)";
  expect_lines(whole, {form, "tokenizer:     260 tokens",
                       "complete: every tensor that the model needs is there"});
  EXPECT_NE(whole.output.find("\nprocessing:    "), std::string::npos) << whole.output;

  remove("model.safetensors");
  const ProgramResult empty = inspect(model(), {"--tensors"});
  EXPECT_EQ(empty.exit_code, 0);
  expect_lines(empty, {form, "tokenizer:     260 tokens"});
  EXPECT_NE(empty.output.find(kNoWeights), std::string::npos) << empty.output;
  EXPECT_NE(empty.output.find("\n  lm_head.weight "), std::string::npos) << empty.output;
  EXPECT_EQ(inspect(model(), {"--strict"}).exit_code, 1);

  // What an index promises and is still on its way.
  folder_.write("model/model.safetensors.index.json",
                R"({"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors",
                    "c": "model-2-of-2.safetensors"}})");
  folder_.write("model/model-1-of-2.safetensors", "not looked at");
  const ProgramResult half = inspect(model());
  EXPECT_EQ(half.exit_code, 0) << half.errors;
  expect_lines(half, {"missing:       model-2-of-2.safetensors"});
  EXPECT_EQ(half.output.find("model-1-of-2"), std::string::npos) << half.output;

  // What is there and broken is no matter of waiting.
  folder_.write("model/model-2-of-2.safetensors", "broken");
  EXPECT_EQ(inspect(model()).exit_code, 1);
}

TEST_F(Inspect, APromptIsShownAsFarAsTheFilesAllow) {
  write_tiny_checkpoint(folder_, "model");
  remove("model.safetensors");
  const std::vector<std::string> question{"--prompt", "Hi", "--image", kImage};
  const ProgramResult whole = inspect(model(), question);
  EXPECT_EQ(whole.exit_code, 0) << whole.errors;
  EXPECT_NE(whole.output.find("\ntoken ids:     "), std::string::npos) << whole.output;
  const std::string start = whole.output.substr(0, whole.output.find("\nimage 1:"));

  remove("tokenizer.json");
  const ProgramResult text = inspect(model(), question);
  EXPECT_EQ(text.exit_code, 0) << text.errors;
  EXPECT_EQ(text.output.find(start), 0U) << text.output;
  EXPECT_NE(text.output.find(" -> 1 view of 24 x 24, 9 image tokens\n"), std::string::npos)
      << text.output;
  expect_lines(text, {"missing:       " + model() + kNoTokenizer});
  remove("preprocessor_config.json");
  const ProgramResult less = inspect(model(), {"--prompt", "Hi", "--strict"});
  EXPECT_EQ(less.exit_code, 1);
  EXPECT_NE(less.output.find("missing:       " + model() + ": no preprocessor_config.json"),
            std::string::npos)
      << less.output;
}

/// Ids are the whole prompt: config.json says all there is to them, and with the weights all that
/// is computed of them.
TEST_F(Inspect, IdsNeedNoTokenizerAndNoChatTemplate) {
  write_tiny_checkpoint(folder_, "model");
  const std::vector<std::string> ids{"--prompt-ids", "72,105"};
  const auto generate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"generate", "--model", model(), "-n", "4", ids[0], ids[1]};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_elastikv(arguments);
  };
  const auto explain = [&] {
    return run_elastikv({"explain", "--model", model(), ids[0], ids[1], "-s", "h2o",
                         "--keep-tokens", "1", "--json"});
  };
  const Json with_all = Json::parse(generate({"--json"}).output);
  const std::string explained = explain().output;
  expect_lines(inspect(model(), ids),
               {"prompt:        \"Hi\"", "tokens:        2 of the 512 that the context holds",
                "token ids:     72 105"});
  for (const char* file : {"chat_template.jinja", "preprocessor_config.json"}) remove(file);
  EXPECT_EQ(Json::parse(generate({"--json"}).output).at("text"), with_all.at("text"));

  remove("tokenizer.json");
  const ProgramResult json = generate({"--json"});
  ASSERT_EQ(json.exit_code, 0) << json.errors;
  const Json without = Json::parse(json.output);
  EXPECT_EQ(without.at("token_ids"), with_all.at("token_ids"));
  EXPECT_TRUE(without.at("text").is_null());
  std::string numbers;
  for (const Json& id : with_all.at("token_ids")) {
    if (!numbers.empty()) numbers += ' ';
    numbers += id.dump();
  }
  const ProgramResult printed = generate({});
  EXPECT_EQ(printed.exit_code, 0) << printed.errors;
  EXPECT_EQ(printed.output, numbers + "\n");
  EXPECT_NE(printed.errors.find("token ids instead of a text: " + model() + kNoTokenizer),
            std::string::npos)
      << printed.errors;
  EXPECT_EQ(explain().output, explained);
  EXPECT_FALSE(explained.empty());

  remove("model.safetensors");
  const ProgramResult shown = inspect(model(), ids);
  EXPECT_EQ(shown.exit_code, 0) << shown.errors;
  expect_lines(shown, {"tokens:        2 of the 512 that the context holds",
                       "token ids:     72 105", "missing:       " + model() + kNoTokenizer});
  std::vector<std::string> strict = ids;
  strict.emplace_back("--strict");
  EXPECT_EQ(inspect(model(), strict).exit_code, 1);
  const ProgramResult outside = inspect(model(), {"--prompt-ids", "260"});
  EXPECT_EQ(outside.exit_code, 1);
  EXPECT_EQ(outside.errors, "error: --prompt-ids: 260 is outside the vocabulary of 260\n");
  const ProgramResult format = inspect(model(), {"--prompt-ids", "1", "--prompt-format", "plain"});
  EXPECT_EQ(format.exit_code, 1);
}

/// Each published way to say that weights are quantised, where it stands and what it is called.
TEST_F(Inspect, QuantisedCheckpointsAreNamedAndRefusedByEveryVerbThatLoads) {
  write_tiny_checkpoint(folder_, "model", /*images=*/false);
  const Json config = tiny_config(/*images=*/false);
  const std::string sweep =
      folder_
          .write("sweep.yaml", "models: {path: " + model() +
                                   ", prompt_format: plain}\ndata: {path: " +
                                   (folder_.path() / "data.jsonl").string() +
                                   "}\nstrategies: [full, h2o]\nbudgets: {keep: 0.5}\noutput: " +
                                   (folder_.path() / "out").string() + "\n")
          .string();
  folder_.write("data.jsonl", R"({"id": "a", "question": "q", "answer": "one"})");
  const std::string bench =
      folder_
          .write("bench.yaml", "models: {path: " + model() +
                                   "}\nlengths: 8+4\nbatch: 1\nstrategies: [full]\noutput: " +
                                   (folder_.path() / "bench").string() + "\n")
          .string();
  const std::string file = model() + "/config.json";
  const std::string advice = "use the checkpoint in fp32, bf16 or fp16 that it was made from";
  const std::string dequantize =
      advice + ", or load it in transformers, call dequantize() and save_pretrained()";
  struct Case {
    std::string where;
    std::string section;
    std::string name;
    std::string advice;
  };
  const std::vector<Case> cases{
      {"quantization_config", R"({"quant_method": "gptq", "bits": 4, "group_size": 128})",
       "gptq, 4 bits", advice},
      {"quantization_config", R"({"quant_method": "awq", "bits": 4, "version": "gemm"})",
       "awq, 4 bits", advice},
      {"quantization_config", R"({"quant_method": "bitsandbytes", "load_in_4bit": true})",
       "bitsandbytes, 4 bits", dequantize},
      {"quantization_config", R"({"load_in_8bit": true})", "bitsandbytes, 8 bits", dequantize},
      {"quantization_config", R"({"quant_method": "fp8", "fmt": "e4m3"})", "fp8", advice},
      {"text_config.quantization_config",
       R"({"quant_method": "compressed-tensors", "format": "pack-quantized",
           "config_groups": {"group_0": {"weights": {"num_bits": 4}}}})",
       "compressed-tensors, 4 bits", advice},
      {"compression_config", R"({"format": "float-quantized"})", "compressed-tensors", advice},
      {"quantization", R"({"group_size": 64, "bits": 4})", "mlx, 4 bits", advice},
  };
  const auto expect_refused = [&](const std::string& message) {
    for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{
             {"generate", "--model", model(), "-p", "x", "--prompt-format", "plain"},
             {"generate", "--model", model(), "--prompt-ids", "1"},
             {"explain", "--model", model(), "-p", "x", "-s", "h2o", "--keep", "0.5", "--json"},
             {"sweep", sweep},
             {"plan", sweep},
             {"bench", bench}}) {
      const ProgramResult result = run_elastikv(verb);
      EXPECT_EQ(result.exit_code, 1) << verb[0];
      EXPECT_EQ(result.errors, "error: " + message + "\n") << verb[0];
      EXPECT_EQ(result.output, "") << verb[0];
    }
  };
  bool first = true;
  for (const Case& c : cases) {
    Json changed = config;
    const size_t point = c.where.find('.');
    if (point == std::string::npos) {
      changed[c.where] = Json::parse(c.section);
    } else {
      changed[c.where.substr(0, point)] = {{c.where.substr(point + 1), Json::parse(c.section)}};
    }
    folder_.write("model/config.json", changed.dump());
    const std::string place = file + ": key '" + c.where + "'";
    const std::string refusal = place + ": the weights are quantised (" + c.name +
                                "), which is not computed here; " + c.advice;
    if (std::exchange(first, false)) expect_refused(refusal);
    const ProgramResult one = run_elastikv({"generate", "--model", model(), "--prompt-ids", "1"});
    EXPECT_EQ(one.errors, "error: " + refusal + "\n");
    const ProgramResult shown = inspect(model());
    EXPECT_EQ(shown.exit_code, 1);
    expect_lines(shown,
                 {"quantised:     " + c.name + " (" + place + "); not computed here: " + c.advice});
  }
  // The file that the method's own tools write beside config.json.
  folder_.write("model/config.json", config.dump());
  folder_.write("model/quantize_config.json", R"({"bits": 4, "group_size": 128, "damp": 0.01})");
  expect_refused(model() +
                 "/quantize_config.json: the weights are quantised (gptq, 4 bits), which "
                 "is not computed here; " +
                 advice);
  remove("quantize_config.json");
  folder_.write("model/hf_quant_config.json",
                R"({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}})");
  EXPECT_EQ(run_elastikv({"generate", "--model", model(), "--prompt-ids", "1"}).errors,
            "error: " + model() +
                "/hf_quant_config.json: the weights are quantised (fp8), which "
                "is not computed here; " +
                advice + "\n");
  remove("hf_quant_config.json");
  // What only says that nothing is quantised.
  for (const char* nothing :
       {"null", R"({"load_in_8bit": false, "load_in_4bit": false})",
        R"({"quant_method": "bitsandbytes", "load_in_8bit": false, "load_in_4bit": false})"}) {
    Json changed = config;
    changed["quantization_config"] = Json::parse(nothing);
    folder_.write("model/config.json", changed.dump());
    const ProgramResult result =
        run_elastikv({"generate", "--model", model(), "--prompt-ids", "1", "-n", "1"});
    EXPECT_EQ(result.exit_code, 0) << nothing << result.errors;
  }
}

}  // namespace
}  // namespace elastikv
