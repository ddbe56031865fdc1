#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <unordered_set>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "datasets/dataset.h"
#include "support/paths.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

/// Damages a few bytes, or puts a value of another type in a value's place. Only the raw engine is
/// used, whose sequence the C++ standard fixes, so every run sees the same bytes.
std::string mutated(std::string bytes, std::mt19937& random) {
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  constexpr std::string_view kValues[]{"null",        "true", "3",  "-1.5e300",   "\"\"",
                                       "\"<image>\"", "[]",   "{}", "[1, \"a\"]", "{\"a\": 1}"};
  const size_t changes = 1 + below(3);
  for (size_t change = 0; change < changes && !bytes.empty(); ++change) {
    const size_t at = below(bytes.size());
    switch (below(8)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(8));
        break;
      case 1:
        bytes[at] = "\"\t\n\r{}[],:<"[below(11)];
        break;
      case 2:
        bytes.erase(at, 1 + below(16));
        break;
      case 3:
        bytes.insert(at, bytes.substr(at, 1 + below(64)));
        break;
      default: {
        const size_t colon = bytes.find(':', at);
        if (colon == std::string::npos) break;
        const size_t end = std::min(bytes.find_first_of(",}\n", colon), bytes.size());
        bytes.replace(colon + 1, end - colon - 1, kValues[below(std::size(kValues))]);
      }
    }
  }
  return bytes;
}

class DataFuzz : public testing::TestWithParam<const char*> {};

TEST_P(DataFuzz, DamagedFilesGiveSoundSamplesOrAnError) {
  constexpr int kRounds = 500;
  const std::filesystem::path original =
      std::filesystem::path(source_path("tests/unit/datasets/data")) / GetParam();
  const std::string bytes = read_file(original);
  const TemporaryFolder folder;
  DataOptions options;
  options.image_root = original.parent_path();
  if (exists(options.image_root / "images")) options.image_root /= "images";
  if (options.image_root.filename() == "annotations")
    options.image_root = options.image_root.parent_path() / "val2014";
  options.image_cache = folder.path() / "cache";
  options.context_words = 4;
  options.answer_words = 2;
  if (const auto answers = original.parent_path() / "answers.jsonl"; exists(answers))
    options.answers = answers;
  std::mt19937 random(20240229);
  int read = 0;
  int marked = 0;
  int refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    options.path = folder.write("data" + original.extension().string(), mutated(bytes, random));
    options.on_problem = round % 2 == 0 ? OnProblem::kRefuse : OnProblem::kRecord;
    try {
      const DataSet data = read_data(options);
      ++read;
      ASSERT_FALSE(data.samples.empty());
      std::unordered_set<std::string> ids;
      for (const Sample& sample : data.samples) {
        EXPECT_TRUE(ids.insert(sample.id).second);
        EXPECT_NE(sample.id, "");
        EXPECT_EQ(sample.content.size(), 32U);
        if (!sample.problem.empty()) {
          ++marked;
          EXPECT_EQ(options.on_problem, OnProblem::kRecord);
          continue;
        }
        EXPECT_NE(sample.question, "");
        EXPECT_NE(sample.answer, "");
        for (const std::filesystem::path& image : sample.images) EXPECT_TRUE(exists(image));
      }
    } catch (const Error& error) {
      ++refused;
      EXPECT_NE(std::string(error.what()).find("data"), std::string::npos);
    }
  }
  // Mutations must neither all be harmless nor all be caught.
  EXPECT_GT(read, 0);
  if (original.extension() != ".txt") {
    EXPECT_GT(refused, kRounds / 20);
    EXPECT_GT(marked, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, DataFuzz,
    testing::Values("llava/detail_1k.json", "qa/mm-vet.json", "qa/coco2014_val_gpt4_qa_30x3.jsonl",
                    "qa/captions_export.jsonl", "mm-vet/mm-vet.json",
                    "llava-questions/llava-mm-vet.jsonl", "vlmevalkit-tsv/MMBench_DEV_EN.tsv",
                    "vlmevalkit-tsv/COCO_VAL.tsv", "vlmevalkit-tsv/LLaVABench.tsv",
                    "coco-captions/annotations/captions_val2014.json",
                    "coco-captions/annotations/captions_results.json", "text/story.txt"));

}  // namespace
}  // namespace elastikv
