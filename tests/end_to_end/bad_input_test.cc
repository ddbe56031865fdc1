#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
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

const fs::path kImages = source_path("datasets/stamp-scenes/test/images");

uint32_t png_checksum(std::string_view bytes) {
  uint32_t sum = 0xffffffff;
  for (const char byte : bytes) {
    sum ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~sum;
}

std::string big_endian(uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xff);
  return bytes;
}

/// A model that loads, a data set and a sweep of them; every test damages one thing.
class BadInput : public testing::Test {
 protected:
  BadInput() {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    weights_ = write_tiny_checkpoint(folder_, "model");
    fs::copy_file(kImages / "test_0000.png", folder_.path() / "a.png");
    write_data({item("a"), item("b")});
  }

  static Json item(const std::string& id) {
    return {{"id", id}, {"image", "a.png"}, {"question", "What?"}, {"answer", "Two stamps."}};
  }
  void write_data(const std::vector<Json>& items) const {
    std::string lines;
    for (const Json& entry : items) lines += entry.dump() + "\n";
    folder_.write("data.jsonl", lines);
  }
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string model() const { return at("model"); }
  std::string write_sweep(const std::string& strategies = "[full, elastic]",
                          const std::string& budgets = "{keep: [0.5]}",
                          const std::string& more = "") const {
    return folder_
        .write("sweep.yaml", "models: {path: " + model() + "}\ndata: {path: " + at("data.jsonl") +
                                 "}\nstrategies: " + strategies + "\nbudgets: " + budgets +
                                 "\ngeneration: {max_new_tokens: 4}\noutput: " + at("out") + "\n" +
                                 more)
        .string();
  }

  /// Nothing on standard output, the message on standard error, exit code 1, and no folder left.
  void expect_refused(const std::vector<std::string>& arguments, const std::string& message) const {
    const ProgramResult result = run_elastikv(arguments);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(result.errors, "error: " + message + "\n");
    EXPECT_FALSE(fs::exists(at("out")));
  }
  /// The same of `sweep`, `plan` and `generate`: all of them look before they load.
  void expect_model_refused(const std::string& message) const {
    for (const char* verb : {"sweep", "plan"}) expect_refused({verb, write_sweep()}, message);
    expect_refused({"generate", "--model", model(), "-p", "What?"}, message);
  }
  void expect_sweep_refused(const std::string& sweep, const std::string& message) const {
    expect_refused({"sweep", sweep}, message);
    expect_refused({"plan", sweep}, message);
  }
  void expect_generate_refused(std::vector<std::string> more, const std::string& message) const {
    more.insert(more.begin(), {"generate", "--model", model()});
    expect_refused(more, message);
  }

  TemporaryFolder folder_;
  CraftedTensors weights_;
};

TEST_F(BadInput, NothingIsWrongWithTheFixture) {
  const ProgramResult sweep = run_elastikv({"sweep", write_sweep()});
  EXPECT_EQ(sweep.exit_code, 0) << sweep.errors;
}

TEST_F(BadInput, WeightFiles) {
  const std::string file = at("model/model.safetensors");
  const std::string whole = weights_.bytes();
  const size_t header_bytes = weights_.header().dump().size();
  const size_t data_bytes = whole.size() - 8 - header_bytes;
  const std::string first = weights_.tensors.begin()->first;
  const std::string second = std::next(weights_.tensors.begin())->first;

  folder_.write("model/model.safetensors", "");
  expect_model_refused(file +
                       ": not a safetensors file: 0 bytes long, the header length alone takes 8");

  folder_.write("model/model.safetensors", whole.substr(0, 100));
  expect_model_refused(file + ": the header of " + std::to_string(header_bytes) +
                       " bytes reaches beyond the file's 100 bytes (is it cut off?)");

  folder_.write("model/model.safetensors", whole.substr(0, whole.size() - 10));
  const ProgramResult cut = run_elastikv({"sweep", write_sweep()});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_NE(cut.errors.find("reach beyond the file's " + std::to_string(data_bytes - 10) +
                            " bytes of data (is it cut off?)\n"),
            std::string::npos)
      << cut.errors;

  std::string long_header = whole;
  const uint64_t length = uint64_t{1} << 40;
  std::memcpy(long_header.data(), &length, sizeof length);
  folder_.write("model/model.safetensors", long_header);
  expect_model_refused(file +
                       ": not a safetensors file: its header would be 1099511627776 bytes long, at "
                       "most 100000000 are allowed");

  Json header = weights_.header();
  const uint64_t first_end = header[first]["data_offsets"][1];
  const uint64_t second_end = header[second]["data_offsets"][1];
  header[second]["data_offsets"] = {first_end - 4, second_end - 4};
  folder_.write("model/model.safetensors", weights_.bytes(header));
  expect_model_refused(file + ": tensor '" + second + "': data_offsets [" +
                       std::to_string(first_end - 4) + ", " + std::to_string(second_end - 4) +
                       "] overlap those of tensor '" + first + "'");

  header = weights_.header();
  header[first]["data_offsets"] = {data_bytes, data_bytes + first_end};
  folder_.write("model/model.safetensors", weights_.bytes(header));
  expect_model_refused(file + ": tensor '" + first + "': data_offsets [" +
                       std::to_string(data_bytes) + ", " + std::to_string(data_bytes + first_end) +
                       "] reach beyond the file's " + std::to_string(data_bytes) +
                       " bytes of data (is it cut off?)");

  header = weights_.header();
  header[first]["dtype"] = "F99";
  folder_.write("model/model.safetensors", weights_.bytes(header));
  expect_model_refused(file + ": tensor '" + first +
                       "' is F99, which models cannot use (a quantised checkpoint?); take one in "
                       "F32, F16 or BF16");

  header = weights_.header();
  header[first]["dtype"] = "F16";
  folder_.write("model/model.safetensors", weights_.bytes(header));
  const ProgramResult half = run_elastikv({"plan", write_sweep()});
  EXPECT_EQ(half.exit_code, 1);
  EXPECT_EQ(half.errors.find("error: " + file + ": tensor '" + first + "': data_offsets [0, "), 0U)
      << half.errors;

  fs::remove(file);
  expect_model_refused(model() +
                       ": no weights here: none of model.safetensors, "
                       "model.safetensors.index.json, pytorch_model.bin and "
                       "pytorch_model.bin.index.json is there");

  folder_.write("model/model.safetensors.index.json",
                R"({"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}})");
  expect_model_refused(at("model/model.safetensors.index.json") +
                       ": shard 'model-00001-of-00002.safetensors' is missing from the folder; it "
                       "holds tensor 'lm_head.weight'");
}

TEST_F(BadInput, MissingTensorsAreListedByEveryVerb) {
  CraftedTensors fewer = weights_;
  const auto lost = std::find_if(fewer.tensors.begin(), fewer.tensors.end(), [](const auto& entry) {
    return entry.first.ends_with("layers.1.self_attn.q_proj.weight") &&
           entry.first.find("vision") == std::string::npos;
  });
  ASSERT_NE(lost, fewer.tensors.end());
  const std::string name = lost->first;
  fewer.tensors.erase(lost);
  folder_.write("model/model.safetensors", fewer.bytes());
  expect_model_refused(model() + ": 1 tensor is missing: " + name);
  const ProgramResult inspected = run_elastikv({"inspect", model()});
  EXPECT_EQ(inspected.exit_code, 1);
  EXPECT_NE(inspected.output.find("\nmissing:       " + name + " [32, 32]\n"), std::string::npos)
      << inspected.output;
  EXPECT_NE(inspected.output.find("\nthis checkpoint does not fit its config.json\n"),
            std::string::npos)
      << inspected.output;
}

TEST_F(BadInput, ModelConfiguration) {
  const std::string file = at("model/config.json");
  const auto with = [&](const std::function<void(Json&)>& damage, const std::string& message) {
    Json config = tiny_config();
    damage(config);
    folder_.write("model/config.json", config.dump());
    expect_model_refused(message);
  };
  with([](Json& config) { config.erase("architectures"); },
       file + ": key 'architectures' is missing (a list of strings is needed)");
  with([](Json& config) { config["architectures"] = {"LlavaForConditionalGenerations"}; },
       file +
           ": key 'architectures' names 'LlavaForConditionalGenerations', which is not known; "
           "did you mean 'LlavaForConditionalGeneration'?");
  with([](Json& config) { config["text_config"]["hidden_size"] = "wide"; },
       file + ": key 'text_config.hidden_size' is \"wide\", an integer is needed");
  with([](Json& config) { config["text_config"]["num_key_value_heads"] = 3; },
       file +
           ": key 'text_config.num_key_value_heads' is 3, which does not divide "
           "num_attention_heads 4");
  folder_.write("model/config.json", "{\"architectures\": ");
  const ProgramResult broken = run_elastikv({"sweep", write_sweep()});
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_EQ(broken.errors.find("error: " + file + ":"), 0U) << broken.errors;
  EXPECT_EQ(std::count(broken.errors.begin(), broken.errors.end(), '\n'), 1) << broken.errors;
  fs::remove(file);
  expect_model_refused(file + ": cannot open: No such file or directory");
  fs::remove_all(model());
  expect_model_refused(model() +
                       ": no such folder; a checkpoint folder (Hugging Face layout) with a "
                       "config.json is needed");
}

TEST_F(BadInput, TokenizerAndPromptFormat) {
  fs::remove(at("model/chat_template.jinja"));
  expect_model_refused(
      model() +
      ": no chat template (chat_template.jinja, or the key 'chat_template' of "
      "processor_config.json, chat_template.json or tokenizer_config.json); name a prompt format: "
      "chatml-qwen2, chatml-qwen2.5, "
      "chatml-smollm2, llama-3, llava-next-mistral, llava-next-vicuna, "
      "llava-onevision, llava-v1-elastic-cache, llava-v1-hf, mistral-instruct, "
      "plain, qwen-vl-chat, qwen2-vl, qwen3, smolvlm, stampvlm, vicuna-v1");
  expect_generate_refused({"-p", "What?", "--prompt-format", "vicuna-v2"},
                          "no prompt format 'vicuna-v2'; did you mean 'vicuna-v1'?");
  fs::remove(at("model/tokenizer.json"));
  const ProgramResult none =
      run_elastikv({"plan", write_sweep(), "--set", "models.prompt_format=plain"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.errors.find("tokenizer.json"), std::string::npos) << none.errors;
}

TEST_F(BadInput, SweepFile) {
  const std::string sweep = at("sweep.yaml");
  expect_sweep_refused(write_sweep("[full, elastik]"),
                       sweep + ":3: strategy 'elastik' is unknown; did you mean 'elastic'?");
  expect_sweep_refused(write_sweep("[full]", "{keep: [0.5]}", "bugdets: 1\n"),
                       sweep + ":7: unknown key 'bugdets'; did you mean 'budgets'?");
  for (const char* budget : {"0", "1.5", "-0.5", "nan"}) {
    expect_sweep_refused(write_sweep("[elastic]", std::string("{keep: [0.2, ") + budget + "]}"),
                         sweep + ":4: key 'budgets.keep[1]' is " + budget +
                             ", a budget is a fraction kept: above 0 and at most 1");
  }
  expect_sweep_refused(write_sweep("[elastic]", "{keep: half}"),
                       sweep + ":4: key 'budgets.keep' needs a number, not 'half'");
  expect_sweep_refused(
      write_sweep("[elastic]", "{keep_tokens: 0}"),
      sweep + ":4: key 'budgets.keep_tokens' is 0, needs a whole number of tokens from 1");
  expect_sweep_refused(write_sweep("[elastic]", "{}"),
                       sweep + ":4: key 'budgets' needs 'keep' or 'keep_tokens'");
  const auto option = [&](const std::vector<std::string>& more, const std::string& message) {
    for (const char* verb : {"sweep", "plan"}) {
      std::vector<std::string> arguments{verb, write_sweep()};
      arguments.insert(arguments.end(), more.begin(), more.end());
      expect_refused(arguments, message);
    }
  };
  option({"--set", "budget.keep=0.1"},
         sweep + ":1: unknown key 'budget'; did you mean 'budgets'? (with --set budget.keep=0.1)");
  option({"--set", "nothing"}, "--set nothing: needs the form key.subkey=value");
  option({"--device", "gpu"}, "device 'gpu' is not known; use cpu, cuda or cuda:N");
  option({"--dtype", "int8"}, "dtype 'int8' is not known; known: fp32, bf16, fp16");
  option({"--limit", "0"}, "--limit is 0, needs to be at least 1");
#ifndef ELASTIKV_WITH_CUDA
  option({"--device", "cuda"},
         "device 'cuda:0' was asked for, but this program was built for the CPU; build it with: "
         "cmake --preset cuda");
#endif
}

TEST_F(BadInput, StrategiesThatReadWhatAPromptHasNot) {
  // Refused by `plan` too: no weights are needed to know.
  Json text = item("a");
  text.erase("image");
  write_data({text});
  const std::string sweep = at("sweep.yaml");
  for (const char* verb : {"sweep", "plan"}) {
    const ProgramResult result = run_elastikv({verb, write_sweep("[full, vl-cache]")});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.errors.find(sweep + ":3: strategy 'vl-cache' cannot run: "), std::string::npos)
        << result.errors;
    EXPECT_NE(result.errors.find("has no image, but the strategy reads the attention of the text "
                                 "after one"),
              std::string::npos)
        << result.errors;
  }
}

TEST_F(BadInput, DataSets) {
  const std::string data = at("data.jsonl");
  write_data({item("a"), item("b"), item("a")});
  for (const char* verb : {"sweep", "plan"})
    expect_refused({verb, write_sweep(), "--set", "data.ids=unique"},
                   data + ": line 3 ('a'): the id is used before");
  ProgramResult result = run_elastikv({"sweep", write_sweep(), "--set", "data.ids=once"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.errors.find("key 'data.ids' is 'once', needs number or unique"),
            std::string::npos)
      << result.errors;

  Json unanswered = item("b");
  unanswered["answer"] = " ";
  write_data({item("a"), unanswered});
  expect_sweep_refused(write_sweep(), data + ": line 2 ('b'): the answer is empty");

  // Several problems are one report, which is printed whole.
  Json gone = item("gone");
  gone["image"] = "gone.png";
  write_data({gone, unanswered, item("a")});
  expect_sweep_refused(write_sweep(),
                       data +
                           ": 2 problems\n  empty texts: 1\n    line 2 ('b'): the answer is empty\n"
                           "  missing images: 1\n    line 1 ('gone'): no image " +
                           at("gone.png") + "; also looked in " + at("images"));

  folder_.write("data.jsonl", item("a").dump() + "\n{\"id\": \"b\", \n");
  result = run_elastikv({"sweep", write_sweep()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.errors.find("error: " + data + ":2"), 0U) << result.errors;
  EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;

  folder_.write("data.jsonl", "");
  result = run_elastikv({"sweep", write_sweep()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.errors.find("error: " + data + ": "), 0U) << result.errors;

  Json longer = item("long");
  longer["question"] = std::string(500, 'x');
  write_data({item("a"), longer});
  for (const char* verb : {"sweep", "plan"}) {
    result = run_elastikv({verb, write_sweep()});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "") << verb;
    EXPECT_EQ(result.errors.find("error: " + data + ": the prompt of sample 'long' has "), 0U)
        << result.errors;
    EXPECT_TRUE(result.errors.ends_with(" but the model's context is 512\n")) << result.errors;
  }
  EXPECT_FALSE(fs::exists(at("out")));
}

TEST_F(BadInput, Images) {
  const std::string whole = read_file(kImages / "test_0000.png");
  std::string wide = whole;
  wide.replace(16, 4, big_endian(100000));
  wide.replace(29, 4, big_endian(png_checksum(std::string_view(wide).substr(12, 17))));
  struct Damage {
    const char* name;
    std::string bytes;
    std::string message;
  };
  const std::vector<Damage> damages{
      {"cut.png", whole.substr(0, whole.size() / 2),
       "the PNG is cut off after " + std::to_string(whole.size() / 2) +
           " bytes; copy or download it again"},
      {"nothing.png", "", "is empty"},
      {"text.png", "no picture",
       "not an image of a known format (PNG, JPEG, WebP and BMP are "
       "read)"},
      {"wide.png", wide,
       "the PNG is 100000 x 192 pixels (width x height); at most 32768 on a side are read"},
  };
  for (const Damage& damage : damages) {
    const std::string file = folder_.write(damage.name, damage.bytes).string();
    Json bad = item("bad");
    bad["image"] = damage.name;
    write_data({item("a"), bad});
    for (const ProgramResult& result :
         {run_elastikv({"sweep", write_sweep()}), run_elastikv({"plan", write_sweep()}),
          run_elastikv({"generate", "--model", model(), "--image", file, "-p", "What?"})}) {
      EXPECT_EQ(result.exit_code, 1);
      EXPECT_EQ(result.output, "");
      EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
      EXPECT_EQ(result.errors.find("error: "), 0U) << result.errors;
      EXPECT_NE(result.errors.find(file), std::string::npos) << result.errors;
      EXPECT_NE(result.errors.find(damage.message), std::string::npos) << result.errors;
    }
  }
  Json gone = item("gone");
  gone["image"] = "gone.png";
  write_data({item("a"), gone});
  expect_sweep_refused(write_sweep(), at("data.jsonl") + ": line 2 ('gone'): no image " +
                                          at("gone.png") + "; also looked in " + at("images"));
  expect_generate_refused({"--image", at("gone.png"), "-p", "What?"},
                          at("gone.png") + ": cannot open: No such file or directory");
  EXPECT_FALSE(fs::exists(at("out")));
}

TEST_F(BadInput, OutputFolders) {
  // Root may write anywhere, but no folder can be made inside a file.
  const std::string inside = at("data.jsonl/out");
  const ProgramResult unwritable = run_elastikv({"sweep", write_sweep(), "--output", inside});
  EXPECT_EQ(unwritable.exit_code, 1);
  EXPECT_EQ(unwritable.output, "");
  EXPECT_EQ(unwritable.errors,
            "error: " + inside + ": cannot be made as the output folder: Not a directory\n");
  const ProgramResult file = run_elastikv({"sweep", write_sweep(), "--output", at("data.jsonl")});
  EXPECT_EQ(file.exit_code, 1);
  EXPECT_EQ(file.errors, "error: " + at("data.jsonl") +
                             ": cannot be made as the output folder: a file of that name exists\n");
  folder_.write("other/records.jsonl", "{}\n");
  const ProgramResult other = run_elastikv({"sweep", write_sweep(), "--output", at("other")});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_EQ(other.errors, "error: " + at("other") +
                              ": holds records of an unknown sweep (no sweep.json); use another "
                              "--output\n");
  EXPECT_EQ(read_file(at("other/records.jsonl")), "{}\n");
}

TEST_F(BadInput, Generate) {
  const auto refused = [&](const std::vector<std::string>& more, const std::string& message) {
    expect_generate_refused(more, message);
  };
  for (const char* keep : {"0", "1.5", "-0.5", "nan", "inf"}) {
    refused({"-p", "What?", "--keep", keep},
            std::string("budget keep=") + keep +
                " is out of range; a fraction kept above 0 and at most 1 is needed");
  }
  refused({"-p", "What?", "--keep-tokens", "0"},
          "budget keep_tokens=0 is out of range; at least 1 is needed");
  refused({"-p", "What?", "--keep", "0.5", "--keep-tokens", "3"},
          "--keep and --keep-tokens exclude each other");
  refused({"-p", "What?", "-s", "elastik"},
          "strategy 'elastik' is unknown; did you mean "
          "'elastic'?");
  refused({"-p", "What?", "-n", "0"}, "--max-new-tokens is 0, at least 1 is needed");
  refused({"-p", "What?", "--dtype", "fp64"}, "dtype 'fp64' is not known; did you mean 'fp32'?");
  refused({"-p", "What?", "--device", "tpu"}, "device 'tpu' is not known; use cpu, cuda or cuda:N");
  refused({"--prompt-ids", "1,2,260"}, "--prompt-ids: 260 is outside the vocabulary of 260");
  refused({"--prompt-ids", "1,x"},
          "--prompt-ids: 'x' is no token id (a list such as 1,2,3 is needed)");
  refused({"--prompt-ids", ""}, "--prompt-ids: the value is empty (see elastikv generate --help)");
  refused({"-p", "What?", "--seed", "-1"}, "--seed: -1 is negative (see elastikv generate --help)");
  refused({"-p", "<image> What?"}, "the prompt has 1 <image> placeholder for 0 images");
  refused({"--prompt-ids", "1,2", "-n", "511"},
          "the prompt has 2 tokens and up to 511 more follow, but the model's context is 512");
  const ProgramResult set = run_elastikv({"generate", "--model", model(), "-p", "What?", "-s",
                                          "elastic", "--set", "compaction.knd=x"});
  EXPECT_EQ(set.exit_code, 1);
  EXPECT_TRUE(
      set.errors.ends_with("unknown key 'compaction.knd'; did you mean 'kind'? (with --set "
                           "compaction.knd=x)\n"))
      << set.errors;
}

}  // namespace
}  // namespace elastikv
