#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "image/image.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr int64_t kLayers = 2;
const std::string kImages = source_path("datasets/stamp-scenes/test/images");

std::vector<Json> lines_of(const std::filesystem::path& file) {
  std::vector<Json> lines;
  const std::string text = read_file(file);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    lines.push_back(Json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

/// What a sweep over a model of random weights leaves beside its records.
class Leavings : public testing::Test {
 protected:
  Leavings() {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model");
    std::string lines;
    for (int i = 0; i < 3; ++i) {
      Json item{{"id", "sample-" + std::to_string(i)},
                {"question", "What is number " + std::to_string(i) + "?"},
                {"answer", "A picture of " + std::to_string(i * 7) + " stamps."}};
      // The last one is text alone.
      if (i < 2) item["image"] = "test_000" + std::to_string(i) + ".png";
      lines += item.dump() + "\n";
    }
    folder_.write("data.jsonl", lines);
    sweep_ = folder_.write("sweep.yaml",
                           "models: {path: " + at("model") + "}\ndata: {path: " + at("data.jsonl") +
                               ", name: data, image_root: " + kImages +
                               "}\nstrategies: [full, elastic, streaming-llm, knorm]\n"
                               "budgets: {keep: 0.3}\ngeneration: {max_new_tokens: 8}\n");
  }
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  void sweep(const std::string& output, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"sweep", sweep_.string(), "--output", at(output)});
    const ProgramResult result = run_elastikv(more);
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }

  TemporaryFolder folder_;
  std::filesystem::path sweep_;
};

TEST_F(Leavings, DetailsKeepWhatExplainSays) {
  sweep("out", {"--set", "details.samples=3"});
  const std::vector<Json> details = lines_of(at("out/details.jsonl"));
  ASSERT_EQ(details.size(), 3U);
  bool heads_differ = false;
  for (const Json& detail : details) {
    const auto sample = detail.at("sample").get<std::string>();
    const ProgramResult explained =
        run_elastikv({"explain", sweep_.string(), "--sample", sample, "--json"});
    ASSERT_EQ(explained.exit_code, 0) << explained.errors;
    const Json explanation = Json::parse(explained.output);
    EXPECT_EQ(detail.at("model"), "model-fp32");
    EXPECT_EQ(detail.at("data"), "data");
    const int64_t tokens = explanation.at("prompt_tokens");
    EXPECT_EQ(detail.at("prompt_tokens"), tokens);
    EXPECT_EQ(detail.at("image"),
              Json({explanation.at("image_begin"), explanation.at("image_end")}));
    ASSERT_EQ(detail.at("importance").size(), kLayers);
    for (const Json& layer : detail.at("importance")) {
      ASSERT_EQ(layer.size(), tokens);
      double sum = 0;
      for (const double value : layer) {
        EXPECT_GE(value, 0);
        sum += value;
      }
      // Every query pays 1, written with four digits.
      EXPECT_NEAR(sum, static_cast<double>(tokens), 1e-3 * static_cast<double>(tokens));
    }
    EXPECT_EQ(detail.at("cells"),
              Json({"model-fp32/data/full", "model-fp32/data/elastic/0.3",
                    "model-fp32/data/streaming-llm/0.3", "model-fp32/data/knorm/0.3"}));
    ASSERT_EQ(detail.at("kept").size(), 4U);
    EXPECT_TRUE(detail.at("kept")[0].empty());
    for (size_t cell = 1; cell < 4; ++cell) {
      const Json& kept = detail.at("kept")[cell];
      const Json& layers = explanation.at("strategies")[cell - 1].at("layers");
      ASSERT_EQ(kept.size(), kLayers);
      for (int64_t layer = 0; layer < kLayers; ++layer) {
        const Json& heads = layers[layer].at("heads");
        const bool alike = heads[0].at("kept") == heads[1].at("kept");
        heads_differ = heads_differ || !alike;
        ASSERT_EQ(kept[layer].size(), alike ? 1U : 2U);
        for (size_t group = 0; group < kept[layer].size(); ++group)
          EXPECT_EQ(kept[layer][group], heads[group].at("kept")) << sample << " cell " << cell;
      }
    }
  }
  EXPECT_TRUE(heads_differ) << "a strategy whose heads keep different entries is needed here";
}

TEST_F(Leavings, ThumbnailIsWhatTheVisionTowerSees) {
  sweep("out", {"--set", "details.samples=3"});
  const std::vector<Json> details = lines_of(at("out/details.jsonl"));
  ASSERT_EQ(details.size(), 3U);
  const auto bytes_of = [&](const Json& detail) {
    const ProgramResult decoded =
        run_command({"base64", "-d"}, detail.at("thumbnail").get<std::string>());
    EXPECT_EQ(decoded.exit_code, 0) << decoded.errors;
    return decoded.output;
  };
  // 192 x 192 pixels are resized to the 24 x 24 that this model's tower takes.
  const Image seen = decode_image(bytes_of(details[0]), "thumbnail");
  EXPECT_EQ(seen.size, (ImageSize{24, 24}));
  EXPECT_EQ(details[0].at("grid"), Json({3, 3}));
  EXPECT_EQ(details[2].at("thumbnail"), "");
  EXPECT_EQ(details[2].at("grid"), Json({0, 0}));
  EXPECT_EQ(details[2].at("image"), Json({0, 0}));
}

TEST_F(Leavings, DetailsChangeNoRecord) {
  sweep("with");
  sweep("without", {"--set", "details.samples=0"});
  EXPECT_FALSE(std::filesystem::exists(at("without/details.jsonl")));
  std::vector<Json> with = lines_of(at("with/records.jsonl"));
  std::vector<Json> without = lines_of(at("without/records.jsonl"));
  ASSERT_EQ(with.size(), 12U);
  for (std::vector<Json>* records : {&with, &without}) {
    for (Json& record : *records) {
      EXPECT_EQ(record.erase("seconds") + record.erase("shared_seconds"), 2U);
    }
  }
  EXPECT_EQ(with, without);
}

TEST_F(Leavings, PredictOnlyWritesTextsThatScoreReads) {
  std::vector<std::string> arguments{"sweep",
                                     sweep_.string(),
                                     "--output",
                                     at("out"),
                                     "--predict-only",
                                     "--set",
                                     "metrics.reference=dataset"};
  ProgramResult result = run_elastikv(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.errors.find("predict-only: texts are generated, nothing is measured; 'metrics' "
                               "are switched off\n"),
            std::string::npos)
      << result.errors;
  EXPECT_NE(result.errors.find("predictions: " + at("out/predictions")), std::string::npos)
      << result.errors;
  // No table pretends to have measured something.
  const std::string report = read_file(at("out/report.md"));
  EXPECT_EQ(report.find("erplexity"), std::string::npos) << report;
  EXPECT_NE(report.find("### Achieved budget"), std::string::npos) << report;
  EXPECT_NE(report.find("### Generated"), std::string::npos) << report;
  for (const Json& record : lines_of(at("out/records.jsonl"))) {
    EXPECT_EQ(record.at("status"), "ok");
    EXPECT_EQ(record.at("scored_tokens"), 0);
    EXPECT_FALSE(record.contains("scores"));
    EXPECT_FALSE(record.contains("agreement"));
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(at("out/predictions")))
    files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 4U);
  EXPECT_EQ(files[0], at("out/predictions/model-fp32__data__elastic__0.3.jsonl"));
  std::vector<std::string> score{"score", "--metrics", "rougeL"};
  score.insert(score.end(), files.begin(), files.end());
  const ProgramResult scored = run_elastikv(score);
  EXPECT_EQ(scored.exit_code, 0) << scored.errors;
  EXPECT_EQ(scored.output.find("| strategy      | budget |   n |"), 0U) << scored.output;
  // Nothing is left to be done.
  arguments.emplace_back("--resume");
  const std::string texts = read_file(files[0]);
  std::filesystem::remove_all(at("out/predictions"));
  result = run_elastikv(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(read_file(files[0]), texts);
}

TEST_F(Leavings, ExportWritesAFileOrAFolder) {
  sweep("out");
  const auto exported = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"export", at("out")});
    return run_elastikv(more);
  };
  ProgramResult result = exported({"--strategy", "elastic", "--budget", "0.3", "--form", "mm-vet",
                                   "--output", at("results.json")});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output, "");
  const Json object = Json::parse(read_file(at("results.json")));
  EXPECT_EQ(object.size(), 3U);
  EXPECT_TRUE(object.contains("sample-0"));
  result = exported({"--form", "llava", "--output", at("answers")});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(std::filesystem::exists(at("answers/model-fp32__data__full.jsonl")));
  EXPECT_EQ(lines_of(at("answers/model-fp32__data__elastic__0.3.jsonl")).size(), 3U);

  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& message) {
    const ProgramResult bad = exported(arguments);
    EXPECT_EQ(bad.exit_code, 1);
    EXPECT_EQ(bad.errors, "error: " + message + "\n");
  };
  refused({"--cell", "model-fp32/data/elastic/0.4", "--output", at("x")},
          at("out") +
              ": has no cell 'model-fp32/data/elastic/0.4'; did you mean "
              "'model-fp32/data/elastic/0.3'?");
  refused({"--cell", "model-fp32/data/full", "--output", at("answers")},
          "--output " + at("answers") + ": is a folder; the texts of one cell are one file");
  refused({"--output", at("results.json")},
          "--output " + at("results.json") + ": cannot be made: Not a directory");
  EXPECT_EQ(exported({}).exit_code, 1);
  EXPECT_EQ(exported({"--form", "tsv", "--output", at("x")}).exit_code, 1);

  // A cell that has not been given all samples.
  const std::string records = read_file(at("out/records.jsonl"));
  size_t end = 0;
  for (int line = 0; line < 8; ++line) end = records.find('\n', end) + 1;
  folder_.write("out/records.jsonl", records.substr(0, end));
  refused({"--cell", "model-fp32/data/full", "--output", at("x")},
          at("out") +
              ": model-fp32/data/full has no text of 1 sample: sample-2 (not evaluated "
              "yet); --allow-missing leaves it out");
  EXPECT_FALSE(std::filesystem::exists(at("x")));
  result = exported({"--cell", "model-fp32/data/full", "--output", at("x"), "--allow-missing"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.errors,
            "warning: model-fp32/data/full: left out: sample-2 (not evaluated yet)\n"
            "model-fp32/data/full written to " +
                at("x") + "\n");
  EXPECT_EQ(lines_of(at("x")).size(), 2U);
}

TEST_F(Leavings, TextAndWindowsOfTokensHaveDetailsToo) {
  std::string words;
  for (int i = 0; i < 40; ++i) words += "ö " + std::to_string(i) + " stamps. ";
  folder_.write("book.txt", words);
  const auto text = folder_.write(
      "text.yaml", "models: {path: " + at("model") + "}\ndata: {path: " + at("book.txt") +
                       ", name: book, prompt_tokens: 30, answer_tokens: 10, limit: 1}\n"
                       "strategies: [full, h2o]\nbudgets: {keep: 0.5}\n"
                       "generation: {max_new_tokens: 4}\n");
  const ProgramResult result = run_elastikv({"sweep", text.string(), "--output", at("out")});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::vector<Json> details = lines_of(at("out/details.jsonl"));
  ASSERT_EQ(details.size(), 1U);
  EXPECT_EQ(details[0].at("sample"), "tokens-0");
  EXPECT_EQ(details[0].at("prompt_tokens"), 30);
  EXPECT_EQ(details[0].at("kept")[1][0][0].size(), 15U);
  const std::vector<Json> samples = lines_of(at("out/samples.jsonl"));
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_TRUE(words.starts_with(samples[0].at("question").get<std::string>()));
}

}  // namespace
}  // namespace elastikv
