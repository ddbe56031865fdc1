#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datasets/dataset.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

constexpr int64_t kMega = 1'000'000;
constexpr int64_t kRows = 64;          // of a shard
constexpr int64_t kRowsOfAGroup = 16;  // as the hub's shards of images have 100
constexpr int64_t kBytes = 400'000;    // of an image

/// The megabytes to read: ELASTIKV_PARQUET_TEST_MB, or what CI has time for.
int64_t megabytes() {
  const char* set = std::getenv("ELASTIKV_PARQUET_TEST_MB");
  return set == nullptr ? 200 : std::atoll(set);
}

int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{1024} * usage.ru_maxrss;
}

/// Questions with images as bytes inside structs, none like another.
void write_shard(const std::filesystem::path& file) {
  arrow::StringBuilder questions;
  arrow::StringBuilder answers;
  arrow::BinaryBuilder bytes;
  std::mt19937 random(7);
  std::string image = "\x89PNG";
  image.resize(kBytes);
  for (int64_t row = 0; row < kRows; ++row) {
    for (size_t i = 4; i + 4 <= image.size(); i += 4) {
      const uint32_t word = random();
      for (size_t k = 0; k < 4; ++k) image[i + k] = static_cast<char>(word >> 8 * k);
    }
    ASSERT_TRUE(questions.Append("What is shown in " + std::to_string(row) + "?").ok());
    ASSERT_TRUE(answers.Append("Noise.").ok());
    ASSERT_TRUE(bytes.Append(image).ok());
  }
  const auto images =
      arrow::StructArray::Make({bytes.Finish().ValueOrDie()}, std::vector<std::string>{"bytes"});
  const auto table = arrow::Table::Make(
      arrow::schema({arrow::field("question", arrow::utf8()), arrow::field("answer", arrow::utf8()),
                     arrow::field("image", (*images)->type())}),
      {questions.Finish().ValueOrDie(), answers.Finish().ValueOrDie(), *images});
  const auto out = arrow::io::FileOutputStream::Open(file.string()).ValueOrDie();
  const auto properties = parquet::WriterProperties::Builder()
                              .compression(parquet::Compression::SNAPPY)
                              ->disable_dictionary()
                              ->build();
  ASSERT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, kRowsOfAGroup,
                                         properties)
                  .ok());
}

TEST(ParquetMemory, AFolderLargerThanTheMemoryThatReadsIt) {
  const TemporaryFolder folder;
  const std::filesystem::path shard = folder.path() / "shard";
  const pid_t writer = fork();  // whose memory is not counted
  if (writer == 0) {
    write_shard(shard);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(writer, &status, 0), writer);
  ASSERT_EQ(status, 0);
  const auto shards =
      static_cast<int>(1 + megabytes() * kMega / static_cast<int64_t>(file_size(shard)));
  std::filesystem::create_directory(folder.path() / "data");
  for (int i = 0; i < shards; ++i) {
    std::filesystem::create_symlink(
        shard, folder.path() / "data" / fmt::format("test-{:05}-of-{:05}.parquet", i, shards));
  }
  DataOptions options;
  options.path = folder.path() / "data";
  options.image_cache = folder.path() / "cache";

  const int64_t before = peak_bytes();
  const DataSet data = read_data(options);
  EXPECT_EQ(static_cast<int64_t>(data.samples.size()), shards * kRows);
  EXPECT_EQ(file_size(data.samples.back().images.at(0).path), static_cast<uint64_t>(kBytes));
  EXPECT_NE(data.samples[0].content, data.samples[1].content);
  const int64_t after = peak_bytes();
  RecordProperty("megabytes_read", std::to_string(shards * file_size(shard) / kMega));
  RecordProperty("peak_megabytes", std::to_string(after / kMega));
  std::printf("%lld MB of Parquet: %lld MB at the peak, %lld before it was read\n",
              static_cast<long long>(shards * file_size(shard) / kMega),
              static_cast<long long>(after / kMega), static_cast<long long>(before / kMega));
  EXPECT_LT(after, 300 * kMega);
}

}  // namespace
}  // namespace elastikv
