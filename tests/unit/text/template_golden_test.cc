// Prompts of published chat templates, as transformers writes them
// (tests/parity/make_chat_prompt_golden.py).
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/strings.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "text/prompt_writer.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

struct Count {
  int equal = 0;
  int all = 0;
};

class TemplateGolden : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(folder_ / "prompts.jsonl");
    std::string line;
    ASSERT_TRUE(std::getline(file, line)) << "run make_chat_prompt_golden.py";
    header_ = Json::parse(line);
    while (std::getline(file, line)) lines_.push_back(Json::parse(line));
    ASSERT_GT(lines_.size(), 300U);
  }

  std::filesystem::path template_file(const std::string& name) const {
    return name == "stampvlm"
               ? std::filesystem::path(source_path("models/stampvlm")) / "chat_template.jinja"
               : folder_ / (name + ".jinja");
  }

  /// The writer of a checkpoint folder that holds nothing but this template and its tokens.
  std::unique_ptr<PromptWriter> writer(const std::string& name, const Json& variables) const {
    const std::string text = read_file(template_file(name));
    Json tokens = header_["tokens"];
    if (header_["pictures"].contains(name)) tokens["image_token"] = header_["pictures"][name];
    checkpoint_.write("chat_template.jinja", text);
    checkpoint_.write("tokenizer_config.json", tokens.dump());
    PromptSettings settings;
    for (const auto& [variable, value] : variables.items())
      settings.variables[variable] = value.dump();
    if (text.find("strftime_now") != std::string::npos) settings.date = "2024-07-04";
    const bool images = header_["pictures"].contains(name);
    return make_prompt_writer({checkpoint_.path(), images, /*image_token=*/-1, nullptr}, settings);
  }

  std::vector<Turn> turns_of(const std::string& conversation) const {
    std::vector<Turn> turns;
    for (const Json& turn : header_["conversations"][conversation])
      turns.push_back({turn[0], turn[1], turn[2]});
    return turns;
  }

  std::filesystem::path folder_ = source_path("tests/parity/data/templates");
  TemporaryFolder checkpoint_;
  Json header_;
  std::vector<Json> lines_;
};

TEST_F(TemplateGolden, PromptsAreWrittenAsTransformersWritesThem) {
  std::map<std::string, Count> counts;
  for (const Json& line : lines_) {
    const auto name = line[0].get<std::string>();
    const auto conversation = line[1].get<std::string>();
    std::string problem;
    std::optional<std::string> text;
    try {
      text = writer(name, line[2])
                 ->write(turns_of(conversation), /*answer_follows=*/conversation != "answered")
                 .text;
    } catch (const Error& error) {
      problem = error.what();
    }
    std::optional<std::string> expected;
    if (!line[3].is_null()) {
      expected = line[3].get<std::string>();
      if (header_["pictures"].contains(name))
        expected = replace_each(*expected, header_["pictures"][name].get<std::string>(),
                                kImagePlaceholder);
    }
    ++counts[name].all;
    counts[name].equal += text == expected ? 1 : 0;
    EXPECT_EQ(text, expected) << name << ", " << conversation << ", " << line[2] << "\n" << problem;
  }
  for (const auto& [name, count] : counts)
    std::cout << name << ": " << count.equal << " of " << count.all << " prompts equal\n";
  EXPECT_GE(counts.size(), 20U);
}

// A template whose golden prompts nobody made would pass unseen.
TEST_F(TemplateGolden, EveryTemplateOfTheFolderIsHeldToTransformers) {
  std::map<std::string, int> prompts;
  for (const Json& line : lines_) ++prompts[line[0]];
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (entry.path().extension() != ".jinja") continue;
    EXPECT_GE(prompts[entry.path().stem()], 6) << entry.path();
  }
}

}  // namespace
}  // namespace elastikv
