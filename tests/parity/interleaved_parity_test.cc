// Questions with images between their words, from the data file to the token ids, against what
// lmms-eval's task for MMMU and transformers' chat templates make of them.
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "datasets/dataset.h"
#include "runtime/prompt_encoder.h"
#include "support/families.h"
#include "support/temporary_folder.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

using nlohmann::json;

class InterleavedParity : public testing::Test {
 protected:
  InterleavedParity() : golden_(json::parse(read_file(parity_folder() / "interleaved.json"))) {}

  /// The rows as the task mmmu-val reads them.
  DataSet data() const {
    json rows = json::array();
    for (const json& row : golden_.at("rows")) {
      json& item = rows.emplace_back(
          json{{"question", row.at("question")}, {"options", row.at("options")}, {"answer", "A"}});
      for (size_t i = 0; i < row.at("images").size(); ++i)
        item[fmt::format("image_{}", i + 1)] = row.at("images")[i];
    }
    DataOptions options;
    options.path = folder_.write("rows.json", rows.dump());
    options.image_root = families_folder() / "pictures";
    options.columns.emplace();
    options.columns->question = "question";
    options.columns->options = {"options"};
    options.columns->answer = "answer";
    options.columns->images = {"image_1", "image_2", "image_3"};
    options.image_markers = "<image {n}>";
    const auto prompt = [&](const char* name) {
      return "\n\n" + golden_.at("prompts").at(name).get<std::string>();
    };
    options.question_after = prompt("multiple_choice_prompt");
    options.question_after_open = prompt("open_ended_prompt");
    return read_data(options);
  }
  /// A family's tiny checkpoint with a published chat template beside its files.
  std::filesystem::path checkpoint(const std::string& family, const std::string& name) const {
    const std::filesystem::path folder = folder_.path() / (family + "-" + name);
    if (!std::filesystem::create_directory(folder)) return folder;
    for (const auto& entry : std::filesystem::directory_iterator(families_folder() / family))
      std::filesystem::create_symlink(entry.path(), folder / entry.path().filename());
    std::filesystem::copy_file(parity_folder() / "templates" / (name + ".jinja"),
                               folder / "chat_template.jinja");
    return folder;
  }

  TemporaryFolder folder_;
  json golden_;
};

TEST_F(InterleavedParity, PromptsHaveTheIdsOfTransformers) {
  const DataSet set = data();
  std::map<std::string, std::unique_ptr<PromptReader>> readers;
  size_t compared = 0;
  for (const json& one : golden_.at("cases")) {
    const auto family = one.at("family").get<std::string>();
    const auto name = one.at("template").get<std::string>();
    std::unique_ptr<PromptReader>& reader = readers[family];
    if (reader == nullptr)
      reader = std::make_unique<PromptReader>(checkpoint(family, name), PromptSettings{});
    const Sample& sample = set.samples.at(one.at("row").get<size_t>());
    EXPECT_EQ(reader->tokenize(sample.question, sample.images).ids,
              one.at("input_ids").get<std::vector<int64_t>>())
        << family << ", " << name << ": " << sample.question;
    ++compared;
  }
  EXPECT_EQ(readers.size(), 7U);
  EXPECT_EQ(compared, readers.size() * golden_.at("rows").size());
}

}  // namespace
}  // namespace elastikv
