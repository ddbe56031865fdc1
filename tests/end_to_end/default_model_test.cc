#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

/// The quickstart with all of its cells.
class DefaultModel : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path root = source_path();
    if (!std::filesystem::exists(root / "models/stampvlm/assembled/model.safetensors"))
      GTEST_SKIP() << "the default model is not assembled (scripts/stampvlm/assemble.py)";
    // Threads that spin while they wait take the processor from each other when tests run side by
    // side.
    setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/1);
    std::filesystem::current_path(root);  // the sweep's paths are relative
  }

  void run(const std::string& samples, const std::vector<std::string>& options) const {
    std::vector<std::string> words{"sweep",    "configs/quickstart.yaml",        "--limit", samples,
                                   "--output", (folder_.path() / "out").string()};
    words.insert(words.end(), options.begin(), options.end());
    const ProgramResult result = run_elastikv(words);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_NE(result.output.find(samples + " samples. "), std::string::npos) << result.output;
  }

  /// Bytes: the largest resident set of a program that was run so far.
  static int64_t most_memory() {
    rusage usage{};
    EXPECT_EQ(getrusage(RUSAGE_CHILDREN, &usage), 0);
    return int64_t{1024} * usage.ru_maxrss;
  }

  TemporaryFolder folder_;
};

TEST_F(DefaultModel, QuickstartKeepsWithinAMemoryLimit) {
  constexpr int64_t kLimit = int64_t{850} << 20;  // it takes a tenth more without one
  const int64_t before = most_memory();
  run("1", {"--memory-limit", "850MiB"});
  if (before > kLimit) GTEST_SKIP() << "another program took more before";
  EXPECT_LE(most_memory(), kLimit / 100 * 105);
  EXPECT_GT(most_memory(), kLimit / 2) << "this was not the sweep's memory";
}

/// Two samples: what it holds at once does not grow with the number of samples.
TEST_F(DefaultModel, QuickstartNeedsNoMoreThanTwoAndAHalfGigabytes) {
  run("2", {});
  constexpr int64_t kMost = 2'500'000'000;
  EXPECT_LE(most_memory(), kMost);
  EXPECT_GT(most_memory(), kMost / 10) << "this was not the sweep's memory";
}

}  // namespace
}  // namespace elastikv
