#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "datasets/dataset.h"
#include "support/paths.h"
#include "support/temporary_folder.h"

// Damaged Parquet files give sound samples or an elastikv::Error that names the file. Everything
// follows from the seeds, so that a failure repeats.

namespace elastikv {
namespace {

namespace fs = std::filesystem;

std::string fixture(const std::string& inside) {
  return read_file(fs::path(source_path("tests/unit/datasets/data/parquet")) / inside);
}

class ParquetFuzz : public testing::Test {
 protected:
  ParquetFuzz() {
    options_.image_cache = folder_.path() / "cache";
    options_.on_problem = OnProblem::kRecord;
  }

  /// Whether the file is read; with what it gives checked.
  bool is_read(const std::string& bytes) {
    fs::remove(folder_.path() / "data.parquet");
    options_.path = folder_.write("data.parquet", bytes);
    try {
      const DataSet data = read_data(options_);
      EXPECT_FALSE(data.samples.empty());
      for (const Sample& sample : data.samples) {
        if (!sample.problem.empty()) continue;
        EXPECT_NE(sample.question, "");
        for (const ImageFile& image : sample.images) EXPECT_TRUE(fs::exists(image.path));
      }
      return true;
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find("data.parquet"), std::string::npos) << message;
      return false;
    }
  }

  TemporaryFolder folder_;
  DataOptions options_;
};

TEST_F(ParquetFuzz, DamageAnywhere) {
  constexpr int kRounds = 800;
  std::mt19937 random(17);
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  int read = 0;
  int rounds = 0;
  for (const char* name : {"scienceqa.parquet", "several.parquet", "vqav2.parquet", "llava.parquet",
                           "textvqa/data/validation-00000-of-00002.parquet"}) {
    const std::string original = fixture(name);
    options_.columns.reset();
    if (std::string(name) == "scienceqa.parquet") {
      options_.columns.emplace();
      options_.columns->question = "question";
      options_.columns->images = {"image"};
      options_.columns->options = {"choices"};
      options_.columns->answer = "answer";
    }
    ASSERT_TRUE(is_read(original)) << name;
    for (int round = 0; round < kRounds; ++round, ++rounds) {
      SCOPED_TRACE(std::string(name) + " " + std::to_string(round));
      std::string bytes = original;
      for (size_t edits = 1 + below(3); edits > 0; --edits) {
        const size_t at = below(bytes.size());
        switch (below(5)) {
          case 0:
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(8));
            break;
          case 1:
            bytes[at] = static_cast<char>(below(256));
            break;
          case 2:
            bytes[at] = '\xff';  // as a number's byte: one that goes on
            break;
          case 3:
            bytes.erase(at, std::min<size_t>(1 + below(8), bytes.size() - at));
            break;
          default:
            bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(40)));
        }
      }
      read += is_read(bytes) ? 1 : 0;
      if (HasFailure()) return;
    }
  }
  // Were all or nothing read, the test tested nothing.
  EXPECT_GT(read, rounds / 50);
  EXPECT_LT(read, rounds * 9 / 10);
}

TEST_F(ParquetFuzz, EveryTruncation) {
  const std::string original = fixture("llava.parquet");
  for (size_t size = 0; size < original.size(); ++size) {
    SCOPED_TRACE(size);
    EXPECT_FALSE(is_read(original.substr(0, size)));
  }
}

// The directory with another length, and with its last bytes in other places.
TEST_F(ParquetFuzz, OtherLengthsOfTheDirectory) {
  const std::string original = fixture("several.parquet");
  for (int64_t length = -2; length < 2000; length += 7) {
    std::string bytes = original;
    for (size_t i = 0; i < 4; ++i)
      bytes[bytes.size() - 8 + i] = static_cast<char>(static_cast<uint64_t>(length) >> 8 * i);
    SCOPED_TRACE(length);
    is_read(bytes);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace elastikv
